"""What `cookline status` says of timers: why an instance is in its state, and what comes next."""

from __future__ import annotations

from typing import Any

from clockwork import HOUR, Clockwork

from cookline.cli.standing import scaling, why
from cookline.control.stack.revision import Revision

SCALING = "    scaling: {up: {cpu: 80, load: 4, wait: 3m, ignore: 10m}, down: {cpu: 30, wait: 5m}}\n"


def reason(shop: Clockwork, name: str) -> str:
    definition = Revision.recall(shop.store.revisions.get("shop").content).stack.instances[name]
    return why(shop.store, shop.instance(name), definition, shop.clock.now())


def test_nothing_is_said_of_an_instance_that_is_as_it_should_be(clockwork: Any) -> None:
    shop = clockwork()
    shop.kitchen.do("setup")
    assert reason(shop, "app1") == ""


def test_a_lost_instance_says_since_when_and_how_long_it_is_left_alone(clockwork: Any) -> None:
    shop = clockwork(provider="static")
    shop.kitchen.do("setup")
    for _ in range(3):
        shop.away("app1", away=False)
        shop.minutes(1)
        shop.away("app1")
        shop.minutes(7)
    lost, by = "nothing was heard of its agent for 5 min", "keepalive: app1 can be reached again"
    assert reason(shop, "app1") == f"{lost}; {by}; comes and goes: left alone for 3 min"


def test_what_starts_and_stops_an_instance_is_said(clockwork: Any) -> None:
    shop = clockwork(instances={"app1": "", "app2": ", schedule: {weekdays: 8-18}", "app3": ", load: true"})
    shop.kitchen.do("setup")
    assert reason(shop, "app2") == "schedule: off until Mon 08:00 UTC"
    assert reason(shop, "app3") == "started and stopped by load"
    shop.clock.turn(HOUR)
    shop.look()
    assert reason(shop, "app2") == "auto-scaling: its hours of the schedule begin; schedule: on until Mon 18:00 UTC"
    assert reason(shop, "app1") == "", "it was configured only because of that"
    shop.kitchen.do("stop", "app2")
    assert reason(shop, "app2") == "stopped by ann; schedule: on until Mon 18:00 UTC"


def test_a_layer_says_when_it_scales_and_what_it_did_last(clockwork: Any) -> None:
    shop = clockwork(instances={"app1": "", "app2": ", load: true"}, app=SCALING)
    shop.kitchen.do("setup")
    stack = Revision.recall(shop.store.revisions.get("shop").content).stack

    def line() -> list[str]:
        return scaling(shop.store, shop.kitchen.pushed.stack_id, stack, shop.clock.now())

    rule = "layer app starts over cpu 80, load 4 for 3 min; stops below cpu 30 for 5 min"
    assert line() == [rule]
    now = int(shop.clock.now()) // 60 * 60
    shop.averages = {"cpu_idle": dict.fromkeys(range(now - 600, now, 60), 5.0), "load_1": {}}
    shop.look()
    assert line() == [rule], "load is not known, so nothing is"
    shop.averages["load_1"] = dict.fromkeys(range(now - 600, now, 60), 1.0)
    shop.look()
    shop.clock.turn(180)
    assert line() == [f"{rule}; 3 min ago start: cpu was over 80 for 3 min; looks again in 7 min"]
