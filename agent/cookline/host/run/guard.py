"""In a plan, recipe code may look but not touch: an audit hook refuses what does not come from host/system.py."""

from __future__ import annotations

import os
import sys
from typing import Any, Tuple

from cookline.host.run.origin import author_place
from cookline.host.system import PlanWrite, System

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of https://docs.python.org/3/library/audit_events.html that change the machine or reach out of it.
REFUSED = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.kill",
        "shutil.rmtree",
        "shutil.copyfile",
        "shutil.move",
        "socket.connect",
        "socket.bind",
        "subprocess.Popen",
    }
)


class PlanGuard:
    """Installed once in the process of a plan; an audit hook cannot be removed, so `active` switches it."""

    rule = "a plan must not change anything"

    def __init__(self, system: System) -> None:
        self.system = system
        self.active = True
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if not self.active or self.system.inside:
            return
        if event == "open":
            _, mode, flags = arguments
            if not (isinstance(flags, int) and flags & WRITING) and not (isinstance(mode, str) and set(mode) & set("wax+")):
                return
        elif event not in REFUSED:
            return
        place = author_place()
        if place is not None:  # imports, the journal and the door itself write for their own reasons
            raise PlanWrite(f"{place}: {self.rule}, but the recipe does {event} {_shown(arguments)}")


def _shown(arguments: Tuple[Any, ...]) -> str:
    return repr(arguments[0])[:200] if arguments else ""
