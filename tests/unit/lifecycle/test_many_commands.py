"""Several operators of one server at once: an instance runs one thing at a time, and all that they ask for comes to its end."""

from __future__ import annotations

import random
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kitchen import KitchenMaker
from mortal import Mortal, World

from cookline.control.lifecycle.command import Command, Report
from cookline.control.lifecycle.states import TRANSITIONS
from cookline.control.store.runs import FOLLOWING
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


def test_twenty_that_join_at_once_cost_each_at_most_two_configures(make_kitchen: KitchenMaker) -> None:
    """The first that are online are configured at once; meanwhile the others join, and one configure more tells of all."""
    names = [f"web{number}" for number in range(1, 21)]
    kitchen = make_kitchen(dict.fromkeys(names, "app"))
    commands: list[str] = []
    all_joined = threading.Event()

    def script(request: dict[str, Any]) -> list[dict[str, Any]]:
        """The first configures go on until everybody has joined and is to be told of."""
        while request["event"] == "configure" and not all_joined.wait(0.05):
            if len(commands) == len(names) and all(kitchen.store.runs.of_command(each, FOLLOWING) for each in commands):
                all_joined.set()
        return []

    for name in names:
        kitchen.hosts.host(name).script = script
    commands += [kitchen.dispatcher.begin(Command("start", "shop", name)) for name in names]
    reports = [kitchen.dispatcher.wait(command) for command in commands]
    assert {report.exit_code for report in reports} == {0}

    for name in names:
        configures = [each for each in kitchen.hosts.host(name).requests if each["event"] == "configure"]
        assert 1 <= len(configures) <= 2, name
        last = configures[-1]["snapshot"]
        assert {each["name"] for each in last["instances"] if each["online"]} == set(names), "the last one tells of all"
    superseded = [result for report in reports for result in report.results if result.outcome == "superseded"]
    for result in superseded:
        covered = re.search(r"covered by snapshot (\d+), .*; run (\w+) brings it", str(result.reason))
        assert covered is not None
        assert result.run is not None and covered[2] > result.run
        ended = kitchen.store.runs.run(covered[2])
        assert ended.outcome in ("successful", "superseded")
        assert ended.outcome == "superseded" or (ended.snapshot or 0) >= int(covered[1])


def test_what_waited_for_an_instance_when_the_controller_died_goes_on_in_any_order(
    make_kitchen: KitchenMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes it up sees the last one first: that must not wait for the queue, and the queue not for it."""
    make_kitchen({"app1": "app"}).close()
    world, directory, successor = World(), tmp_path / ".cookline", tmp_path / "successor"
    first = Mortal(directory, world, server=True)
    first.dispatcher.dispatch(Command("setup", "shop"))
    world.hosts.host("app1").seconds = 1.0
    begun = [first.dispatcher.begin(Command("deploy", "shop")) for _ in range(3)]
    database = sqlite3.connect(directory / "engine.db")
    waiting = "SELECT count(*) FROM workflow_status WHERE status='ENQUEUED' AND queue_name='instances'"
    until(lambda: database.execute(waiting).fetchone()[0] == 2)
    database.close()
    first.die(successor)
    first.close()

    second = Mortal(successor, world)
    runs, claimed = second.store.runs, second.store.runs.claim
    [last] = [run.id for run in runs.of_command(begun[-1])]

    def claim(instance: str, run: str) -> bool:
        """The last run's coordinator comes first: all others find the instance taken."""
        begins = sys._getframe(1).f_code.co_name == "_begin"
        return claimed(instance, run) if run == last or not begins else False

    monkeypatch.setattr(runs, "claim", claim)
    resumed = threading.Thread(target=second.dispatcher.resume, daemon=True)
    resumed.start()
    resumed.join(timeout=30)
    stuck = resumed.is_alive()
    if stuck:  # let them end all the same
        runs.forget_claims()
        with second.dispatcher.turns.turn("nobody", "none"):
            pass
        resumed.join(timeout=30)
    assert not stuck, "they waited for each other"
    ends = [(result.outcome, result.reason) for each in begun for result in second.dispatcher.report(each).results]
    assert ends == [("successful", None)] * 3
    second.close()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
