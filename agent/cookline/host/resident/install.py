"""Puts the resident agent on a host as the service `cookline-agent`, and takes it off again without a trace."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, List

from cookline.errors import Locked
from cookline.host import paths

if TYPE_CHECKING:
    from cookline.host.resources.base import Action
    from cookline.host.run.node import Node

SERVICE = "cookline-agent"
UNIT = f"/etc/systemd/system/{SERVICE}.service"
PROGRAM = "cookline/host/resident/__main__.py"
# Idle it takes some 20 MB; a look at drift reads every managed file, one at a time, in a child of the same group. At the cap
# the largest process is killed alone: the child, and the next look comes.
MEMORY_CAP = "256M"
# The loop pings three times in this; only a file system that hangs stops it for so long.
WATCHDOG_SECONDS = 120

UNIT_TEXT = """\
[Unit]
Description=cookline resident agent: heartbeat, metrics, drift
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={python} -I -S {link}/{program}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
WatchdogSec={watchdog}
TimeoutStopSec=20
UMask=0077
Nice=10
MemoryMax={memory}
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
"""


def unit_text() -> str:
    """The unit file, for the interpreter that runs now: it has shown that it can run the bundle."""
    return UNIT_TEXT.format(
        python=sys.executable, link=paths.AGENT_LINK, program=PROGRAM, watchdog=WATCHDOG_SECONDS, memory=MEMORY_CAP
    )


def bundle() -> str:
    """The tree that runs now."""
    return os.path.realpath(__file__).rsplit("/cookline/", 1)[0]


def recipe(node: Node) -> None:
    """cookline::agent, first in setup. A running agent is restarted at the end when its bundle or settings changed."""
    from cookline.host.resources.actions import Restart
    from cookline.host.resources.file import File
    from cookline.host.resources.link import Link
    from cookline.host.resources.service import Service

    settings = node._request.agent
    if settings is None:
        return
    if not os.path.isdir("/run/systemd/system"):
        node.log("systemd does not run here, so there is no resident agent: no heartbeat, metrics or drift", level="warning")
        return
    restart: List[Action] = [Restart(SERVICE)] if is_running() else []
    content = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    node.ensure(
        File(paths.AGENT_SETTINGS, content, mode="0600", owner="root", group="root", backup=False, sensitive=True),
        later=restart,
    )
    node.ensure(Link(paths.AGENT_LINK, bundle()), later=restart)
    node.ensure(File(UNIT, unit_text(), mode="0644", backup=False), later=restart)
    node.ensure(Service(SERVICE, running=True, enabled=True))


def is_running() -> bool:
    """systemd keeps a link for each unit that is up."""
    return os.path.lexists(f"/run/systemd/units/invocation:{SERVICE}.service")


def uninstall() -> None:
    """Stop the agent and remove everything that cookline keeps on this host. Raises Locked while a run holds it."""
    from cookline.host.resident.drift import refuse_during_run
    from cookline.host.system import System

    try:
        refuse_during_run()
    except Locked as error:
        raise Locked("a run is going on, so the agent was not removed", hint="uninstall it when the run has ended") from error
    host = System()
    if os.path.isdir("/run/systemd/system"):
        host.run(["systemctl", "disable", "--now", f"{SERVICE}.service"], ok=None)
    host.remove(UNIT)
    if os.path.isdir("/run/systemd/system"):
        host.run(["systemctl", "daemon-reload"])
        host.run(["systemctl", "reset-failed", f"{SERVICE}.service"], ok=None)
    host.remove_tree(paths.STATE_DIRECTORY)
