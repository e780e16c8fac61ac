"""What a recipe measures reaches the spool of the host's agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cookline.host import paths
from cookline.host.resident import outbox
from cookline.host.resident.spool import Spool

RECIPE = """
    def recipe(node):
        node.metric("orders", 7, "Count")
"""


def agent(kitchen: Any, **values: Any) -> None:
    settings = {"instance_id": "i-1", "stack": "shop", "stack_id": "s-1", "layers": ["s-1-app"], **values}
    Path(paths.AGENT_SETTINGS).write_text(json.dumps(settings))
    kitchen.recipe(RECIPE)


def spooled(directory: str) -> list[dict[str, Any]]:
    return [record["data"] for record in Spool(directory).read()]


def test_a_value_is_spooled_under_instance_layer_and_stack(kitchen: Any) -> None:
    agent(kitchen)
    kitchen.run()
    found = spooled(paths.SPOOL)
    dimensions = [each["Dimensions"][0] for each in found]
    assert [each["Value"] for each in dimensions] == ["i-1", "s-1-app", "s-1"]
    assert {(each["MetricName"], each["Value"], each["Unit"], each["Namespace"]) for each in found} == {
        ("orders", 7.0, "Count", "Cookline/shop")
    }


def test_an_agent_that_publishes_finds_it_in_its_outbox(kitchen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOX", paths.STATE_DIRECTORY + "/outbox")
    agent(kitchen, report={"endpoint": "https://metrics.example"})
    kitchen.run()
    assert len(spooled(outbox.OUTBOX)) == 3 and not Path(paths.SPOOL).exists()


def test_a_plan_and_a_host_without_this_agent_publish_nothing(kitchen: Any) -> None:
    agent(kitchen)
    kitchen.run(apply=False)
    agent(kitchen, instance_id="i-2")
    kitchen.run()
    Path(paths.AGENT_SETTINGS).unlink()
    assert kitchen.run()[-1]["outcome"] == "successful"
    assert not Path(paths.SPOOL).exists()
