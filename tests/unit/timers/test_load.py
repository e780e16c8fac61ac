"""Load-based layers grow and shrink by what they measured; what is not known changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from clockwork import MINUTE, Clockwork

SCALING = """\
    scaling:
      up: {cpu: 80, memory: 90, wait: 3m, ignore: 10m, instances: 2}
      down: {cpu: 30, memory: 50, wait: 5m, ignore: 5m}
"""
INSTANCES = {"app1": "", "app2": ", load: true", "app3": ", load: true", "app4": ", load: true"}


@pytest.fixture
def shop(clockwork: Any) -> Clockwork:
    made: Clockwork = clockwork(instances=INSTANCES, app=SCALING)
    made.kitchen.do("setup")
    assert made.states == {"app1": "online", "app2": "stopped", "app3": "stopped", "app4": "stopped"}
    return made


def measure(shop: Clockwork, cpu: float, *, memory: float = 60.0, minutes: int = 12) -> None:
    """The layer's averages of the last minutes, as its agents would have told them."""
    latest = int(shop.clock.now() // MINUTE * MINUTE)
    for at in range(latest - minutes * 60, latest, 60):
        for metric, value in (("cpu_idle", 100.0 - cpu), ("memory_used", memory * 1000), ("memory_total", 100_000.0)):
            shop.averages.setdefault(metric, {})[at] = value


def running(shop: Clockwork) -> list[str]:
    return [name for name, state in shop.states.items() if state == "online"]


def test_a_busy_layer_starts_so_many_instances_and_then_looks_away(shop: Clockwork) -> None:
    measure(shop, 95.0)
    shop.look()
    assert running(shop) == ["app1", "app2", "app3"]
    for _ in range(9):
        shop.clock.turn(MINUTE)
        measure(shop, 95.0)
        shop.look()
    assert running(shop) == ["app1", "app2", "app3"], "ten minutes are ignored"
    shop.clock.turn(MINUTE)
    measure(shop, 95.0)
    shop.look()
    assert running(shop) == ["app1", "app2", "app3", "app4"], "there are no more than that"
    assert shop.commands() == [("start", "app2,app3", "auto-scaling"), ("start", "app4", "auto-scaling")]


def test_an_idle_layer_stops_load_instances_one_by_one_and_never_others(shop: Clockwork) -> None:
    shop.kitchen.do("start", "app2,app3")
    for _ in range(20):
        shop.clock.turn(MINUTE)
        measure(shop, 5.0, memory=20.0)
        shop.look()
    assert running(shop) == ["app1"]
    assert shop.commands() == [("stop", "app3", "auto-scaling"), ("stop", "app2", "auto-scaling")]


def test_a_moment_of_load_is_not_enough(shop: Clockwork) -> None:
    measure(shop, 20.0)
    measure(shop, 95.0, minutes=3)
    shop.look()
    assert running(shop) == ["app1"], "the minute that agents may still tell of is not looked at"
    shop.clock.turn(2 * MINUTE)
    measure(shop, 95.0, minutes=2)
    shop.look()
    assert len(running(shop)) == 3


def test_any_threshold_starts_and_all_together_stop(shop: Clockwork) -> None:
    measure(shop, 5.0, memory=95.0)
    shop.look()
    assert len(running(shop)) == 3, "memory alone"
    for _ in range(30):
        shop.clock.turn(MINUTE)
        measure(shop, 5.0, memory=60.0)
        shop.look()
    assert len(running(shop)) == 3, "the processors are idle, the memory is not"


def test_a_minute_without_data_blocks(shop: Clockwork) -> None:
    measure(shop, 95.0)
    for values in shop.averages.values():
        values.pop(int(shop.clock.now() // MINUTE * MINUTE) - 4 * 60)
    shop.look()
    assert running(shop) == ["app1"]
    shop.averages.clear()
    shop.look()
    assert running(shop) == ["app1"], "nothing known is not idle either"


def test_one_that_is_still_coming_is_waited_for(shop: Clockwork) -> None:
    measure(shop, 95.0)
    shop.store.instances.record(shop.instance("app2").id, state="running_setup")
    shop.look()
    assert shop.commands() == []


def test_a_threshold_of_minus_one_is_off(clockwork: Any) -> None:
    scaling = "    scaling: {up: {cpu: -1, load: 4, wait: 1m}, down: {wait: 1m}}\n"
    shop = clockwork(instances=INSTANCES, app=scaling)
    shop.kitchen.do("setup")
    measure(shop, 99.0)
    shop.look()
    assert running(shop) == ["app1"]
    shop.averages["load_1"] = dict.fromkeys(shop.averages["cpu_idle"], 4.5)
    shop.look()
    assert running(shop) == ["app1", "app2"]
    assert "load was over 4 for 1 min" in shop.said[-1]
