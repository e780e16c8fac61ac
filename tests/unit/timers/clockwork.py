"""A kitchen of dummy hosts with a tick, a collector and a clock that the test turns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitchen import LAYERS, Kitchen, TurnedClock

from cookline.control.lifecycle.timers.tick import Tick
from cookline.control.server.collector import Collector
from cookline.control.stack.revision import freeze
from cookline.control.store.instances import Instance

MINUTE = 60.0
HOUR = 3600.0
# A Monday, 7:30 UTC
MONDAY = 1_790_580_600.0


class Clockwork:
    """`instances` maps names to what their definition says besides layer, provider and transport; `stack` is added to the stack
    and `scaling` to layer app."""

    def __init__(
        self,
        directory: Path,
        *,
        instances: Mapping[str, str] | None = None,
        provider: str = "container",
        stack: str = "",
        app: str = "",
    ) -> None:
        chosen = instances or {"app1": "", "app2": "", "app3": ""}
        self.kitchen = Kitchen(directory, dict.fromkeys(chosen, "app"), provider=provider)
        more = {name: f"layers: [app], provider: {provider}, transport: dummy{text}" for name, text in chosen.items()}
        layers = LAYERS.replace("    shutdown_timeout: 1\n", f"    shutdown_timeout: 1\n{app}")
        written = layers + "".join(f"  {name}: {{{text}}}\n" for name, text in more.items()) + stack
        (directory / "shop.yml").write_text(written)
        self.kitchen.pushed = self.store.push(freeze(directory / "shop.yml"), author="ann")
        self.clock = TurnedClock(MONDAY)
        self.said: list[str] = []
        self.averages: dict[str, dict[int, float]] = {}
        self.restart_server()

    def restart_server(self) -> None:
        """What the server keeps in memory is gone."""
        self.tick = Tick(self.kitchen.dispatcher, averages=self._average, clock=self.clock, log=self.said.append)
        self.collector = Collector(self.kitchen.dispatcher, lambda namespace, data: None, lambda text: None, self.tick)

    def _average(self, namespace: str, metric: str, layer: str, start: int, end: int, period: int) -> dict[int, float]:
        assert namespace == "AWS/OpsWorks" and layer == f"{self.kitchen.pushed.stack_id}-app"
        return {at: value for at, value in self.averages.get(metric, {}).items() if start <= at < end}

    @property
    def store(self) -> Any:
        return self.kitchen.store

    @property
    def states(self) -> dict[str, str]:
        return self.kitchen.states()

    def instance(self, name: str) -> Instance:
        return next(each for each in self.store.instances.of(self.kitchen.pushed.stack_id) if each.name == name)

    def away(self, *names: str, away: bool = True) -> None:
        for name in names:
            self.kitchen.hosts.host(name).away = away

    def beat(self, name: str) -> None:
        """The host's agent writes a heartbeat into its spool."""
        host, instance = self.kitchen.hosts.host(name), self.instance(name)
        number = max([instance.acknowledged, *(record["seq"] for record in host.records)]) + 1
        host.records.append({"seq": number, "kind": "heartbeat", "at": 0, "instance_id": instance.id, "data": {}})

    def look(self) -> None:
        """Ask all hosts, then tick, and wait for what that began."""
        self.collector.collect_all()
        for command in self.tick():
            self.kitchen.dispatcher.wait(command)

    def minutes(self, count: int) -> None:
        """Let the server do its work for some minutes."""
        for _ in range(count):
            self.clock.turn(MINUTE)
            self.look()

    def commands(self) -> list[tuple[str, str | None, str]]:
        """(kind, instances, by whom) of every command that no person gave, oldest first."""
        records = reversed(self.store.runs.commands(self.kitchen.pushed.stack_id, 1000))
        return [(each.kind, each.options["command"]["on"], each.user) for each in records if each.user != "ann"]
