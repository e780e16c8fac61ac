"""Drift is put right where every layer wants it, by the recipes that declared it, and never in a storm."""

from __future__ import annotations

from typing import Any

import pytest
from clockwork import Clockwork

CORRECT = "    drift: {policy: correct}\n"


def drifted(shop: Clockwork, resource: str = "File[/etc/motd]", recipe: str = "web::setup", **more: Any) -> None:
    finding = {"resource": resource, "differences": {"mode": ["0644", "0600"]}, "recipe": recipe, **more}
    shop.store.findings.report(shop.instance("app2").id, finding)


def corrections(shop: Clockwork) -> list[tuple[str | None, list[str], str]]:
    records = reversed(shop.store.runs.commands(shop.kitchen.pushed.stack_id, 1000))
    commands = [each.options["command"] for each in records if each.user == "corrective"]
    return [(each["on"], list(each["recipes"]), each["comment"]) for each in commands]


@pytest.fixture
def shop(clockwork: Any) -> Clockwork:
    made: Clockwork = clockwork(app=CORRECT)
    made.kitchen.do("setup")
    made.look()
    return made


def test_what_differs_is_put_right_by_the_recipes_that_declared_it(shop: Clockwork) -> None:
    drifted(shop)
    drifted(shop, "File[/etc/issue]")
    drifted(shop, "Service[web]", "web::configure")
    shop.kitchen.executed()
    shop.look()
    assert shop.kitchen.executed() == [("app2", "execute_recipes")]
    why = "drift of File[/etc/issue], File[/etc/motd], Service[web]"
    assert corrections(shop) == [("app2", ["web::setup", "web::configure"], why)]


def test_a_finding_that_ended_is_left_alone(shop: Clockwork) -> None:
    drifted(shop)
    drifted(shop, cleared=1)
    shop.look()
    assert corrections(shop) == []


def test_what_cannot_be_put_right_is_tried_ever_more_seldom(shop: Clockwork) -> None:
    drifted(shop)
    shop.minutes(200)
    assert len(corrections(shop)) <= 5 + 200 // 60, "at once, after 5, 10, 20 and 40 minutes, then every hour"


def test_a_layer_that_reports_changes_nothing(clockwork: Any) -> None:
    shop = clockwork()
    shop.kitchen.do("setup")
    drifted(shop)
    shop.look()
    assert corrections(shop) == []


@pytest.mark.parametrize("recipe", ["web::nothing", "other::default", "web", "../../etc/passwd", "None"])
def test_a_recipe_that_the_revision_does_not_have_is_not_run(shop: Clockwork, recipe: str) -> None:
    drifted(shop, recipe=recipe)
    shop.look()
    assert corrections(shop) == []


def test_an_instance_that_is_not_online_is_not_corrected(shop: Clockwork) -> None:
    shop.kitchen.do("stop", "app2")
    drifted(shop)
    shop.look()
    assert corrections(shop) == []
