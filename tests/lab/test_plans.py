"""No plan lies: each recipe of plans/ is planned and run on a fresh host, and the run does what the plan has said.

The recipes are nasty on purpose: each resource builds on what the ones before it leave.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, Event, target_of

RECIPES = sorted((Path(__file__).parent / "plans").glob("*.py"))
# what the run may do with a resource after a plan's word; `cannot know` promises nothing
KEPT_BY = {"will_change": ["changed"], "will_not": ["unchanged"], "skipped": ["skipped"], "failed": ["failed"]}


@pytest.fixture(params=RECIPES, ids=[path.stem for path in RECIPES])
def controller(request: pytest.FixtureRequest, host: LabHost, tmp_path: Path) -> Iterator[Controller]:
    """A recipe that is to be planned, and its host as the recipe wants it at the start."""
    recipe: dict[str, Any] = runpy.run_path(str(request.param))
    if "START" in recipe:
        host.run(recipe["START"], check=True)
    controller = Controller(target_of(host, tmp_path), request.param.read_text(), recipe.get("FILES"), imports="")
    yield controller
    controller.close()


def test_the_run_does_what_the_plan_has_said(controller: Controller) -> None:
    plan, planned = outcomes(controller, apply=False)
    assert plan["outcome"] == "successful", plan
    run, done = outcomes(controller, apply=True)
    assert run["outcome"] == "successful", run
    assert len(planned) == len(done)
    lies = [
        {"planned": one, "was": other}
        for one, other in zip(planned, done, strict=True)
        if other["kind"] not in KEPT_BY.get(one["kind"], [other["kind"]])
        or (one["kind"] == "will_change" and one["changes"] != other["changes"])
    ]
    assert lies == []
    assert (run["mismatches"], run["mismatched"]) == (0, [])
    assert all(event["reason"] for event in planned if event["kind"] == "cannot_know")


def outcomes(controller: Controller, *, apply: bool) -> tuple[Event, list[Event]]:
    """The last event of a plan or run, and how each resource ended."""
    run = controller.begin(apply=apply)
    end = run.join()
    ended = [event for event in run.events if "seconds" in event and "name" in event]
    ended.sort(key=lambda event: int(event["resource"]))  # a service that starts ends after what needs it not
    kept = ("name", "kind", "changes", "reason", "line")
    return end, [{name: event.get(name) for name in kept} for event in ended]
