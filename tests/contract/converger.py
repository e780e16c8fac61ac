"""Converges one case's resource on a host as the product does: over SSH, by the bundle, with a cookbook made for the case."""

from __future__ import annotations

import gzip
import io
import secrets
import tarfile
from collections.abc import Callable
from typing import Any

from cookline.control.transport.base import Target
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.ssh.connection import SshConnection
from cookline.control.transport.trees import Tree, TreeSet
from cookline.protocol import RunRequest
from tests.contract.cases import Case
from tests.lab.hosts import LabHost

Event = dict[str, Any]

COOKBOOK = "name: case\nversion: 1.0.0\n"
RECIPE = """from cookline import {kind}


def recipe(node):
    node.ensure({kind}(**{fields!r}))
"""
# Where what a change owes leaves a line each time that it is paid.
PAID = "/var/lib/cookline-paid"
OWING = f"""from cookline import Run, {{kind}}


def recipe(node):
    node.ensure({{kind}}(**{{fields!r}}), later=Run("echo paid >> {PAID}"))
"""


def target_of(host: LabHost) -> Target:
    return Target(
        instance=host.name,
        address=host.address,
        port=host.port,
        user=host.user,
        identity_file=host.identity_file,
        ssh_config="/dev/null",
        known_hosts=(str(host.ssh_config.parent / "known_hosts"),),
    )


class Converger:
    """One host and one case; each call is a whole run, `last` its id, `events` what it told.

    `waited` are the waiting events; each is given to `on_waiting` too.
    """

    def __init__(self, pool: Pool, host: LabHost, case: Case) -> None:
        self.case = case
        self.conversation = Conversation(pool, target_of(host), reconnect_for=20)
        self.number = 0
        self.last = ""
        self.events: list[Event] = []
        self.waited: list[Event] = []
        self.on_waiting: Callable[[Event], object] = lambda event: None

    def undo(self, run: str) -> Event:
        """Put back what a run has changed; the last event."""
        return self.run(undo=run)[0]

    @property
    def connection(self) -> SshConnection:
        """The connection that the runs go over."""
        connection = self.conversation.pool.connection(self.conversation.target)
        assert isinstance(connection, SshConnection)
        return connection

    def run(
        self, *, apply: bool = True, undo: str | None = None, recipe: str = RECIPE, die_at: int = 0, **changed: Any
    ) -> tuple[Event, list[Event]]:
        """The run's last event, and those that say how the resource ended."""
        self.number += 1
        trees = TreeSet()
        recipe = recipe.format(kind=self.case.kind, fields={**self.case.resource, **changed})
        cookbook = {"cookbook.yml": COOKBOOK, "recipes/default.py": recipe, **self.case.cookbook}
        wanted = {"cookbook:case": trees.add(Tree.of_contents({path: text.encode() for path, text in cookbook.items()}))}
        apps: dict[str, Any] = {}
        if self.case.artifact:
            wanted["app:shop"] = trees.add(Tree.of_contents({"artifact.tar.gz": archive(self.case.artifact)}))
            apps["shop"] = {"name": "shop", "layers": [], "environment": {}, "artifact": wanted["app:shop"]}
        request = RunRequest(
            run=f"{self.number:010d}{secrets.token_hex(8).upper()}",
            instance="case",
            instance_id="i-case",
            stack="case",
            event="execute_recipes",
            recipes=[] if undo else ["case::default"],
            snapshot={
                "store": "case",
                "number": self.number,
                "stack": {"name": "case", "id": "s"},
                "instances": [],
                "apps": apps,
            },
            trees=wanted,
            apply=apply,
            undo=undo,
            lock_wait=30,
            die_at=die_at,
        )
        self.events = events = []

        def take(event: Event) -> None:
            events.append(event)
            if event["kind"] == "waiting":
                self.waited.append(event)
                self.on_waiting(event)

        self.last = request.run
        end = self.conversation.run(request, trees, take, deadline=240)
        return end, [
            event for event in events if str(event.get("name", "")).startswith(f"{self.case.kind}[") and "seconds" in event
        ]

    def drift(self) -> list[Event]:
        """The findings of the host's own look at what the last runs declared."""
        return self.conversation.drift()[1]


def archive(files: dict[str, str]) -> bytes:
    """A tar.gz that is the same for the same files."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path, text in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
