"""A stack of dummy hosts with a dispatcher, for the tests of this folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cookline.control.lifecycle.command import Command, Report
from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.control.lifecycle.timers.clock import Clock
from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.control.stack.revision import freeze
from cookline.control.store.store import Store
from cookline.control.transport.dummy import DummyHost, DummyJournal, DummyTransport
from cookline.control.transport.pool import Pool
from cookline.errors import RunError

RECIPE = "from cookline import Node\n\n\ndef recipe(node: Node) -> None:\n    pass\n"
RECIPES = ("default", "setup", "configure", "deploy", "undeploy", "shutdown", "extra")

LAYERS = """
stack: shop
cookbooks: [cookbooks]
layers:
  lb:
    recipes: {setup: [web::setup], configure: [web::configure], shutdown: [web::shutdown]}
  app:
    recipes: {setup: [web::setup], configure: [web::configure], deploy: [web::deploy], undeploy: [web::undeploy],
              shutdown: [web::shutdown]}
    shutdown_timeout: 1
apps:
  shop: {layers: [app], environment: {TOKEN: !secret generated:token}}
instances:
"""


class TurnedClock(Clock):
    """`suspended` time passes for the world, and not for the clock that only goes forward."""

    def __init__(self, start: float) -> None:
        self.time, self.running = start, 1000.0

    def now(self) -> float:
        return self.time

    def elapsed(self) -> float:
        return self.running

    def turn(self, seconds: float) -> None:
        self.time += seconds
        self.running += seconds


class FakeProvider:
    """Powers dummy hosts; knobs to refuse."""

    name = "container"
    can_start = True

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.running: set[str] = set()
        self.cannot_start: set[str] = set()
        self.cannot_stop: set[str] = set()

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        return [self._host(request.name) for request in requests]

    def _host(self, name: str) -> Host:
        return Host(name, "running" if name in self.running else "stopped", f"10.0.0.{sum(name.encode()) % 250}")

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        names = tuple(request.name for request in requests)
        self.calls.append(("create", names))
        if self.cannot_start & set(names):
            raise RunError(f"{', '.join(sorted(self.cannot_start & set(names)))} does not boot")
        self.running |= set(names)
        return self.status(requests)

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        self.calls.append(("stop", tuple(names)))
        if self.cannot_stop & set(names):
            raise RunError(f"{names[0]} does not stop")
        self.running -= set(names)

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        self.calls.append(("reboot", tuple(names)))

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        self.calls.append(("destroy", tuple(names)))
        self.running -= set(names)


class DiskHost(DummyHost):
    """A dummy whose journals survive the death of the process, as a real host's do. Each run executes once per file.

    The attribute web.fail of a run names the host on which it fails.
    """

    directory: Path

    def execute(self, request: dict[str, Any]) -> DummyJournal:
        path = self.directory / f"{self.name}.{request['run']}.json"
        with self.lock:
            if path.exists():
                return self._known(path)
            fails = request["attributes"].get("web", {}).get("fail") == self.name
            self.outcome = "failed" if fails else "successful"
            kept = {"begun": time.time(), "event": request["event"], "events": self._events(request)}
            # whole or not at all: a host outlives the controller, which this process is as well
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(kept))
            os.link(fresh, path)
            fresh.unlink()
            return self._journal(kept["begun"], kept["events"])

    def _known(self, path: Path) -> DummyJournal:
        kept = json.loads(path.read_text())
        return self._journal(kept["begun"], kept["events"])

    def _journal(self, begun: float, events: list[dict[str, Any]]) -> DummyJournal:
        journal = DummyJournal(events, self.seconds)
        # the run went on while nobody listened
        gone = time.time() - begun
        journal.lines = [(due - gone, line) for due, line in journal.lines]
        return journal


class DiskTransport(DummyTransport):
    def __init__(self, directory: Path, seconds: float) -> None:
        super().__init__()
        directory.mkdir(exist_ok=True)
        self.directory, self.seconds = directory, seconds

    def host(self, name: str) -> DummyHost:
        with self._lock:
            if name not in self.hosts:
                host = DiskHost(name, seconds=self.seconds)
                host.directory = self.directory
                self.hosts[name] = host
            return self.hosts[name]


class Kitchen:
    """`instances` maps names to layers; their provider is FakeProvider, their transport a dummy."""

    def __init__(
        self,
        directory: Path,
        instances: dict[str, str],
        *,
        provider: str = "container",
        transport: DummyTransport | None = None,
    ) -> None:
        self.directory = directory
        self.provider = FakeProvider()
        self.hosts = transport or DummyTransport()
        self.store = Store(directory / ".cookline")
        self.events: list[tuple[str, dict[str, Any]]] = []
        write_stack(directory, instances, provider)
        self.pushed = self.store.push(freeze(directory / "shop.yml"), author="ann")
        self.dispatcher = self.another()

    def another(self) -> Dispatcher:
        def open_provider(name: str, directory: Path) -> Any:
            if name == "container":
                return self.provider
            from cookline.control.providers.registry import open_provider as registered

            return registered(name, directory)

        made = Dispatcher(self.store, pool=Pool({"dummy": self.hosts}), open_provider=open_provider, user="ann", name="test")
        made.progress.subscribe(lambda instance, event: self.events.append((instance, event)))
        return made

    def do(self, kind: str, on: str | None = None, **options: Any) -> Report:
        return self.dispatcher.dispatch(Command(kind, "shop", on, **options))

    def states(self) -> dict[str, str]:
        return {each.name: each.state for each in self.store.instances.of(self.pushed.stack_id)}

    def executed(self) -> list[tuple[str, str]]:
        """(instance, event) of everything that the hosts were asked to run since the last call, in order of arrival."""
        found = [
            (request["run"], host.name, request["event"]) for host in self.hosts.hosts.values() for request in host.requests
        ]
        for host in self.hosts.hosts.values():
            host.requests.clear()
        return [(name, event) for _run, name, event in sorted(found)]

    def close(self) -> None:
        self.dispatcher.close()
        self.store.close()


def write_stack(directory: Path, instances: dict[str, str], provider: str | dict[str, str] = "container") -> None:
    """`provider` is that of all instances, or each one's."""
    recipes = directory / "cookbooks" / "web" / "recipes"
    recipes.mkdir(parents=True, exist_ok=True)
    (directory / "cookbooks" / "web" / "cookbook.yml").write_text("name: web\nversion: 1.0.0\n")
    for name in RECIPES:
        (recipes / f"{name}.py").write_text(RECIPE)
    own = provider if isinstance(provider, dict) else dict.fromkeys(instances, provider)
    lines = [f"  {name}: {{layers: [{layers}], provider: {own[name]}, transport: dummy}}" for name, layers in instances.items()]
    (directory / "shop.yml").write_text(LAYERS + "\n".join(lines) + "\n")


def outcomes(report: Report, phase: int | None = None) -> dict[str, str]:
    return {result.instance: result.outcome for result in report.results if phase is None or result.phase == phase}


KitchenMaker = Callable[..., Kitchen]
