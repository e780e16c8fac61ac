"""Runs a recipe on a real host through the project's own transport, without a stack."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookline.control.store.identifiers import new_identifier
from cookline.control.transport.base import Target
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.trees import Tree, TreeSet
from cookline.protocol import RunRequest
from tests.lab.hosts import LabHost

Event = dict[str, Any]
IMPORTS = "from cookline import Directory, Execute, File, Package, Reboot, Run, Service, SystemdUnit, Template\n"


def target_of(host: LabHost, directory: Path, **changes: Any) -> Target:
    """How a controller reaches a lab host: its key is pinned in a file of `directory`."""
    known = directory / "known_hosts"
    known.write_text(f"{host.address} {host.known_host}\n")
    options: dict[str, Any] = {"user": "root", "identity_file": host.identity_file, "known_hosts": (str(known),)}
    return Target(instance=host.name, address=host.address, port=host.port, connect_timeout=5.0, **{**options, **changes})


@dataclass
class Run:
    """One run: its events so far and, when it has ended, its run_finished."""

    id: str
    events: list[Event] = field(default_factory=list)
    end: Event | None = None
    error: BaseException | None = None
    link: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def heard(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: str, name: str = "", timeout: float = 60.0) -> None:
        """Until an event of this kind (and resource name) has come."""

        def found() -> bool:
            return any(each["kind"] == kind and name in str(each.get("name", "")) for each in self.events)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.error or self.end, timeout)
            assert found(), f"no {kind} {name}; events: {self.kinds}; end: {self.end}; error: {self.error}"

    def join(self, timeout: float = 120.0) -> Event:
        assert self._thread is not None
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the run goes on and on: {self.kinds}"
        if self.error:
            raise self.error
        assert self.end is not None
        return self.end

    @property
    def kinds(self) -> list[str]:
        return [each["kind"] for each in self.events]


class Controller:
    """One controller: connections and the trees of one cookbook called `test`. `imports` stand before the recipe."""

    def __init__(self, target: Target, recipe: str, files: Mapping[str, str] | None = None, *, imports: str = IMPORTS) -> None:
        self.target = target
        self.pool = Pool()
        contents = {"recipes/default.py": imports + textwrap.dedent(recipe), **(files or {})}
        self.tree = Tree.of_contents({path: text.encode() for path, text in contents.items()})

    def conversation(self, run: Run | None = None, reconnect_for: float = 60.0) -> Conversation:
        on_link: Callable[[str], None] | None = run.link.append if run else None
        return Conversation(self.pool, self.target, reconnect_for=reconnect_for, on_link=on_link)

    def request(self, run: str, **values: Any) -> RunRequest:
        defaults: dict[str, Any] = {
            "instance": self.target.instance,
            "instance_id": "i-1",
            "stack": "lab",
            "event": "execute_recipes",
            "recipes": ["test"],
            "trees": {"cookbook:test": self.tree.hash},
        }
        return RunRequest(run=run, **{**defaults, **values})

    def begin(self, run_id: str | None = None, **values: Any) -> Run:
        """Start a run in the background."""
        run = Run(run_id or new_identifier())

        def follow() -> None:
            try:
                request = self.request(run.id, **values)
                end = self.conversation(run).run(request, TreeSet([self.tree]), run.heard)
                with run._changed:
                    run.end = end
                    run._changed.notify_all()
            except BaseException as error:
                with run._changed:
                    run.error = error
                    run._changed.notify_all()

        run._thread = threading.Thread(target=follow, daemon=True)
        run._thread.start()
        return run

    def run(self, **values: Any) -> Event:
        return self.begin(**values).join()

    def close(self) -> None:
        self.pool.close()
