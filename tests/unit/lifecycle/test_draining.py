"""Draining on dummy hosts: who is told what, before whose recipes run."""

from __future__ import annotations

from typing import Any

import pytest
from kitchen import Kitchen, KitchenMaker, outcomes

from cookline.control.stack.revision import freeze
from cookline.errors import UsageError

NAMES = ("lb1", "app1", "app2", "app3")


@pytest.fixture
def shop(make_kitchen: KitchenMaker) -> Kitchen:
    """A balancer and three application servers, whose layer drains over the balancer's."""
    kitchen = make_kitchen({"lb1": "lb", "app1": "app", "app2": "app", "app3": "app"})
    stack = kitchen.directory / "shop.yml"
    stack.write_text(stack.read_text().replace("  app:\n    recipes", "  app:\n    drain: {layers: [lb]}\n    recipes"))
    kitchen.store.push(freeze(stack), author="ann")
    assert kitchen.do("setup").exit_code == 0
    kitchen.executed()
    kitchen.events.clear()
    return kitchen


def begun(kitchen: Kitchen) -> list[tuple[str, str]]:
    """(instance, event) in the order in which the hosts began."""
    found = [(name, event["event"]) for name, event in kitchen.events if event["kind"] == "run_started"]
    kitchen.events.clear()
    return found


def seen_online(request: dict[str, Any]) -> set[str]:
    return {each["name"] for each in request["snapshot"]["instances"] if each["online"]}


def test_the_balancer_lets_go_before_the_shutdown_recipes_run(shop: Kitchen) -> None:
    report = shop.do("stop", "app2")
    request = shop.hosts.host("lb1").requests[0]
    assert seen_online(request) == {"lb1", "app1", "app3"}
    order = begun(shop)
    assert order[:2] == [("lb1", "configure"), ("app2", "shutdown")]
    assert sorted(order[2:]) == [("app1", "configure"), ("app3", "configure")]
    assert report.exit_code == 0 and sum(report.totals.values()) == len(report.results) == 4
    assert shop.states()["app2"] == "stopped"


def test_nobody_stays_marked(shop: Kitchen) -> None:
    shop.do("stop", "app2")
    assert {each.draining for each in shop.store.instances.of(shop.pushed.stack_id)} == {None}
    shop.do("start", "app2")
    assert seen_online(shop.hosts.host("lb1").requests[-1]) == set(NAMES)


def test_a_host_stops_even_if_the_balancer_does_not_answer(shop: Kitchen) -> None:
    shop.hosts.host("lb1").outcome = "failed"
    report = shop.do("stop", "app2")
    assert shop.states()["app2"] == "stopped"
    assert report.exit_code == 1
    # the balancer is told again
    assert ("lb1", "configure") in begun(shop)[2:]


def test_who_has_nothing_to_drain_is_stopped_as_ever(shop: Kitchen) -> None:
    shop.do("stop", "lb1")
    assert begun(shop)[0] == ("lb1", "shutdown")
    assert shop.executed() == [("lb1", "shutdown"), ("app1", "configure"), ("app2", "configure"), ("app3", "configure")]


def test_a_rollout_takes_each_batch_off_the_balancer_and_lets_it_back(shop: Kitchen) -> None:
    report = shop.do("deploy", apps=("shop",), rollout={"batch": ["2"], "drain": True})
    assert report.exit_code == 0
    told = [seen_online(request) for request in shop.hosts.host("lb1").requests]
    assert told == [{"lb1", "app3"}, set(NAMES), {"lb1", "app1", "app2"}, set(NAMES)]
    order = [name for name, _event in begun(shop)]
    assert [order[0], set(order[1:3]), *order[3:]] == ["lb1", {"app1", "app2"}, "lb1", "lb1", "app3", "lb1"]


def test_who_failed_is_let_back_when_the_rollout_is_over(shop: Kitchen) -> None:
    shop.hosts.host("app1").outcome = "failed"
    report = shop.do("deploy", apps=("shop",), rollout={"batch": ["1"], "drain": True})
    assert outcomes(report, 0) == {"app1": "failed", "app2": "skipped", "app3": "skipped"}
    told = [seen_online(request) for request in shop.hosts.host("lb1").requests]
    assert told == [{"lb1", "app2", "app3"}, set(NAMES)]


def test_a_stack_that_does_not_say_how_is_refused(kitchen: Kitchen) -> None:
    kitchen.do("setup")
    with pytest.raises(UsageError, match="says how it is drained"):
        kitchen.do("deploy", apps=("shop",), rollout={"drain": True})
