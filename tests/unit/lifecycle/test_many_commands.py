"""Several operators of one server at once: an instance runs one thing at a time, and all that they ask for comes to its end."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from kitchen import KitchenMaker

from cookline.control.lifecycle.command import Report
from cookline.control.lifecycle.states import TRANSITIONS
from cookline.protocol import OUTCOMES

KINDS = ("configure", "configure", "setup", "shutdown", "start", "deploy", "reboot")
TARGETS = (None, "app1", "app2", "lb1,app3")


class Witness:
    """What the dispatcher told: runs that overlapped on an instance, and moves that no table has."""

    def __init__(self) -> None:
        self.active: dict[str, str] = {}
        self.wrong: list[str] = []

    def __call__(self, instance: str, event: dict[str, Any]) -> None:
        if event["kind"] == "run_started":
            if instance in self.active:
                self.wrong.append(f"{event['run']} began on {instance} during {self.active[instance]}")
            self.active[instance] = event["run"]
        elif event["kind"] == "outcome" and self.active.get(instance) == event["run"]:
            del self.active[instance]
        elif event["kind"] == "state" and event["state"] not in TRANSITIONS[event["before"]]:
            self.wrong.append(f"{instance} went from {event['before']} to {event['state']}")


@pytest.mark.parametrize("seed", [1, 4])
def test_operators_do_not_get_in_each_others_way(make_kitchen: KitchenMaker, seed: int) -> None:
    kitchen = make_kitchen({"lb1": "lb", "app1": "app", "app2": "app", "app3": "app"})
    chance = random.Random(seed)
    kitchen.do("setup")
    witness, reports = Witness(), list[Report]()
    kitchen.dispatcher.progress.subscribe(witness)
    for name in ("lb1", "app1", "app2", "app3"):
        kitchen.hosts.host(name).seconds = chance.choice([0.0, 0.05])

    def operate(own: random.Random) -> None:
        for _ in range(5):
            reports.append(kitchen.do(own.choice(KINDS), own.choice(TARGETS)))

    operators = [threading.Thread(target=operate, args=(random.Random(chance.random()),)) for _ in range(4)]
    for operator in operators:
        operator.start()
    for operator in operators:
        operator.join()

    assert witness.wrong == []
    assert len(reports) == 20, "every command came to its end"
    results = [result for report in reports for result in report.results]
    assert {result.outcome for result in results} <= {"successful", "skipped", "superseded"} < set(OUTCOMES)
    assert all(result.reason for result in results if result.outcome != "successful")
    assert kitchen.dispatcher.unfinished() == []
    assert kitchen.store.database.rows("SELECT * FROM claims") == []
    assert set(kitchen.states().values()) <= {"online", "stopped"}
