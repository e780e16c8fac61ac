"""Timers move real hosts: by the hour, by the load, and when one stops answering. The clock is the test's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cookline.cloudwatch.store import MetricStore
from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.control.lifecycle.timers.averages import StoredAverages
from cookline.control.lifecycle.timers.clock import Clock
from cookline.control.lifecycle.timers.tick import Tick
from cookline.control.providers.base import HostRequest
from cookline.control.server.collector import Collector
from cookline.control.stack.revision import freeze
from cookline.control.store.store import Store
from cookline.control.transport.pool import Pool
from tests.conftest import LabHosts
from tests.lab.hosts import LabHost

RECIPE = """
from cookline import Execute

def recipe(node):
    names = ",".join(each.name for each in node.stack.instances(online=True))
    node.ensure(Execute(f"echo {node.event} {names} >> /root/events"))
"""
LAYER = {
    "recipes": {event: ["test"] for event in ("setup", "configure", "shutdown")},
    "scaling": {"up": {"cpu": 80, "wait": "2m", "ignore": "1m"}, "down": {"cpu": 20, "wait": "2m", "ignore": "1m"}},
}
# Monday, 7:58 UTC
MORNING = 1_790_582_280


class TurnedClock(Clock):
    time = float(MORNING)

    def now(self) -> float:
        return self.time

    def elapsed(self) -> float:
        return self.time


class Shop:
    """lab1 is there for good, lab2 in office hours, lab3 when there is a load."""

    def __init__(self, folder: Path, hosts: list[LabHost]) -> None:
        self.hosts, self.provider = hosts, hosts[0].provider
        extra: list[dict[str, Any]] = [{}, {"schedule": {"weekdays": "8-18"}}, {"load": True}]
        base = {"layers": ["web"], "provider": "container", "connect_timeout": 1}
        definition = {
            "stack": "shop",
            "keepalive": "2m",
            "layers": {"web": LAYER},
            "instances": {host.name: {**base, **more} for host, more in zip(hosts, extra, strict=True)},
        }
        recipes = folder / "cookbooks" / "test" / "recipes"
        recipes.mkdir(parents=True)
        (recipes.parent / "cookbook.yml").write_text("name: test\nversion: 1.0.0\n")
        (recipes / "default.py").write_text(RECIPE)
        (folder / "shop.yml").write_text(json.dumps(definition))
        self.store = Store(folder / ".cookline")
        self.pushed = self.store.push(freeze(folder / "shop.yml"), author="ann")
        self.pool, self.metrics, self.clock = Pool(), MetricStore(":memory:"), TurnedClock()
        self.dispatcher = Dispatcher(self.store, pool=self.pool, open_provider=lambda name, directory: self.provider)
        self.tick = Tick(self.dispatcher, averages=StoredAverages(self.metrics), clock=self.clock)
        self.collector = Collector(self.dispatcher, lambda namespace, data: None, lambda text: None, self.tick)

    def close(self) -> None:
        self.dispatcher.close()
        self.metrics.close()
        self.store.close()

    def go_on(self, minutes: float) -> list[str]:
        """Turn the clock, tick, and wait for what that began: who did what to whom."""
        self.clock.time += minutes * 60
        reports = [self.dispatcher.wait(command) for command in self.tick()]
        assert [report.exit_code for report in reports] == [0] * len(reports), [report.to_dict() for report in reports]
        records = [self.store.runs.command(report.command) for report in reports]
        return [f"{each.user}: {each.kind} {each.options['command']['on'] or 'all'}" for each in records]

    def load(self, percent: float) -> None:
        """What the layer's agents would have told of the last ten minutes."""
        layer = [{"Name": "LayerId", "Value": f"{self.pushed.stack_id}-web"}]
        now = int(self.clock.time)
        data = [
            {"MetricName": "cpu_idle", "Dimensions": layer, "Timestamp": at, "Value": 100 - percent, "Unit": "None"}
            for at in range(now - 600, now, 60)
        ]
        self.metrics.put("AWS/OpsWorks", data, now=self.clock.time)

    def look_at(self, host: LabHost) -> str | None:
        """One of the collector's looks, a minute after the last, on a fresh connection; why it was in vain."""
        self.clock.time += 60
        instance = next(each for each in self.store.instances.of(self.pushed.stack_id) if each.name == host.name)
        revision = self.dispatcher.revisions.get("shop", self.pushed.number)
        self.pool.drop(self.dispatcher.hosts.target(revision, instance))
        return self.collector.collect_one(instance).error

    @property
    def online(self) -> list[str]:
        return [each.name for each in self.store.instances.of(self.pushed.stack_id) if each.state == "online"]

    @property
    def running(self) -> list[str]:
        """The hosts that really are."""
        return [
            host.name
            for host in self.provider.status([HostRequest(each.name) for each in self.hosts])
            if host.state == "running"
        ]


def events(host: LabHost) -> list[str]:
    """What ran on the host since the last call, each with who was online then."""
    return host.run("cat /root/events; rm /root/events", check=True).stdout.splitlines()


@pytest.fixture
def shop(lab_hosts: LabHosts, tmp_path: Path) -> Iterator[Shop]:
    hosts = lab_hosts(3)
    made = Shop(tmp_path, hosts)
    made.provider.stop([host.name for host in hosts[1:]], lambda text: None)
    yield made
    made.close()


def test_timers_start_stop_and_heal_real_hosts(shop: Shop) -> None:
    lab1, lab2, _ = shop.hosts
    assert shop.dispatcher.dispatch(Command("setup", "shop")).exit_code == 0
    assert shop.running == ["lab1"], "the others are left to their timers"

    assert shop.go_on(1) == [], "7:59"
    assert shop.go_on(1) == ["auto-scaling: start lab2"]
    assert shop.running == shop.online == ["lab1", "lab2"]
    assert events(lab2) == ["setup lab1", "configure lab1,lab2"]

    shop.load(95)
    assert shop.go_on(0) == ["auto-scaling: start lab3"]
    assert shop.running == shop.online == ["lab1", "lab2", "lab3"]
    shop.clock.time += 15 * 60
    shop.load(5)
    assert shop.go_on(0) == ["auto-scaling: stop lab3"]
    assert shop.running == shop.online == ["lab1", "lab2"]
    assert events(lab1)[-1] == "configure lab1,lab2"

    events(lab2)
    shop.look_at(lab1)
    lab1.freeze()
    assert [bool(shop.look_at(lab1)) for _ in range(2)] == [True, True]
    assert shop.go_on(0) == ["keepalive: configure all"]
    assert events(lab2) == ["configure lab2"]
    assert shop.go_on(0) == ["auto-healing: heal lab1"]
    assert shop.running == shop.online == ["lab1", "lab2"]
    assert events(lab1) == ["setup lab2", "configure lab1,lab2"] and events(lab2) == ["configure lab1,lab2"]

    assert shop.go_on(10 * 60) == ["auto-scaling: stop lab2"]
    assert shop.running == shop.online == ["lab1"]
