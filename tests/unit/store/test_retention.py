"""What the store forgets, and what it never does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cookline.control.store import retention
from cookline.control.store.identifiers import new_identifier
from cookline.control.store.retention import KEEP_RUNS
from cookline.control.store.runs import CommandRecord, RunRecord, new_run
from cookline.control.store.store import Store

NAMES = ("app1", "app2")


class History:
    """A stack of two instances, and what was done with them."""

    def __init__(self, store: Store, keep: int | None = None) -> None:
        self.store = store
        content = {"stack": {"keep_runs": keep} if keep else {}}
        self.stack = store.revisions.push("shop", content, "hash", author="ann").stack_id
        store.instances.declare(self.stack, dict.fromkeys(NAMES, (("app",), "static")))
        self.ids = {each.name: each.id for each in store.instances.of(self.stack)}

    def did(self, event: str = "configure", outcome: str | None = "successful", *, on: str = "app1", **more: Any) -> RunRecord:
        """One command with one run and its report; `outcome` None: it goes on. More are fields of the run."""
        number = more.pop("revision", 1)
        command = CommandRecord(new_identifier(), self.stack, event, number, {"command": {}}, "ann", time.time())
        run = replace(new_run(command.id, self.ids[on], on, 0, event), **more)
        self.store.runs.add_command(command)
        self.store.runs.add([run])
        with self.store.reports.open(run.id) as report:
            report.add({"seq": 1, "kind": "run_started"})
        if outcome is not None:
            self.store.runs.finish(run.id, outcome)
            self.store.runs.finish_command(command.id, outcome, 0)
        return run

    def kept(self) -> set[str]:
        return {row["id"] for row in self.store.database.rows("SELECT id FROM runs")}

    def reports(self) -> set[str]:
        return set(self.store.reports.kept())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / ".cookline") as opened:
        yield opened


@pytest.fixture
def history(store: Store) -> History:
    return History(store)


def ids(runs: list[RunRecord]) -> set[str]:
    return {run.id for run in runs}


def test_the_newest_of_each_instance_stay_with_their_reports(history: History) -> None:
    old, busy = history.did(on="app2"), [history.did() for _ in range(KEEP_RUNS + 20)]
    assert history.store.retention.tidy() == (20, 20)
    assert history.kept() == history.reports() == {old.id} | ids(busy[20:])
    assert history.store.retention.tidy() == (0, 0)


def test_a_stack_may_keep_more(store: Store) -> None:
    history = History(store, keep=50)
    runs = [history.did() for _ in range(60)]
    store.retention.tidy()
    assert history.reports() == ids(runs[10:])


def test_what_deployments_go_back_to_outlives_its_report(history: History) -> None:
    deployed = [history.did("deploy") for _ in range(5)]
    for _ in range(KEEP_RUNS + 1):
        history.did("configure")
        history.did("deploy", "failed")
    history.store.retention.tidy()
    assert ids(deployed) <= history.kept()
    assert not ids(deployed) & history.reports()


def test_what_was_superseded_or_planned_pushes_nothing_out(history: History) -> None:
    first = history.did()
    for _ in range(KEEP_RUNS + 5):
        history.did(outcome="superseded")
        history.did(apply=False)
    history.store.retention.tidy()
    assert first.id in history.kept() & history.reports()


def test_what_is_unfinished_stays_whole(history: History) -> None:
    unfinished = history.did("setup", None)
    [history.did() for _ in range(KEEP_RUNS + 5)]
    history.store.retention.tidy()
    assert unfinished.id in history.kept() & history.reports()
    assert [each.id for each in history.store.runs.unfinished()] == [unfinished.command_id]


def test_the_last_run_of_an_instance_and_what_a_run_goes_back_to_stay(history: History) -> None:
    last, source = history.did(), history.did()
    history.store.instances.record(history.ids["app1"], last_run=last.id)
    runs = [history.did() for _ in range(KEEP_RUNS)]
    back = history.did(back_to={"command": source.command_id, "apps": []})
    history.store.retention.tidy()
    assert history.kept() == {last.id, source.id, back.id} | ids(runs[1:])
    assert last.id in history.reports() and source.id not in history.reports()


def test_a_command_stays_whole_as_long_as_one_of_its_runs_does(history: History) -> None:
    command = history.did(on="app2").command_id
    other = new_run(command, history.ids["app1"], "app1", 0, "configure")
    history.store.runs.add([other])
    history.store.runs.finish(other.id, "successful")
    [history.did() for _ in range(KEEP_RUNS + 5)]
    history.store.retention.tidy()
    assert len(history.store.runs.of_command(command)) == 2


def test_a_report_without_a_run_goes(history: History) -> None:
    with history.store.reports.open(new_identifier()) as report:
        report.add({"seq": 1})
    assert history.store.retention.tidy() == (0, 1)


def test_snapshots_stay_while_a_run_names_them_and_the_newest_does_always(history: History) -> None:
    store = history.store
    numbers = [store.snapshots.take(history.stack, {"n": number}) for number in range(4)]
    history.did(snapshot=numbers[1])
    store.retention.tidy()
    assert store.snapshots.get(numbers[0]), "a run may be about to name it"
    store.database.execute("UPDATE snapshots SET at = at - 7200")
    store.retention.tidy()
    left = [row["number"] for row in store.database.rows("SELECT number FROM snapshots")]
    assert left == [numbers[1], numbers[3]]
    assert store.snapshots.take(history.stack, {"n": 9}) > numbers[3]


def test_archives_of_old_revisions_go_unless_somebody_may_go_back_to_them(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_ARCHIVES", 2)
    blobs = history.store.blobs

    def push(archive: str, cookbook: str) -> tuple[str, str]:
        app, book = blobs.put(archive.encode()), blobs.put(cookbook.encode())
        trees = {"app:shop": f"tree {app}", "cookbook:base": f"tree {book}"}
        manifests = {f"tree {each}": [["file", "0644", each]] for each in (app, book)}
        history.store.revisions.push("shop", {"stack": {}, "trees": trees, "manifests": manifests}, archive, author="ann")
        return app, book

    pushed = [push(f"archive {n}", f"cookbook {n}") for n in range(2, 6)]  # revision 1 has none
    shared, _ = push("archive 2", "another cookbook")
    history.did(revision=3)
    history.store.retention.tidy()
    assert all(blobs.holds(each) for pair in pushed for each in pair), "what was put just now may be about to be named"
    for app, book in pushed:
        for each in (app, book):
            os.utime(blobs.path(each), (0, 0))
    history.store.retention.tidy()
    archives = {n: blobs.holds(app) for n, (app, _) in enumerate(pushed, start=2)}
    assert archives == {2: True, 3: True, 4: False, 5: True}, (
        "the newest has 2's again, a command used 3, 5 is among the newest"
    )
    assert shared == pushed[0][0] and all(blobs.holds(book) for _, book in pushed)


def test_it_is_done_once_an_hour_whatever_the_clock_does(history: History) -> None:
    [history.did() for _ in range(KEEP_RUNS + 5)]
    assert history.store.retention.tidy_if_due()
    assert len(history.kept()) == KEEP_RUNS
    assert not history.store.retention.tidy_if_due()
    history.store.timers.set("", "tidy", time.time() + 86400)
    assert history.store.retention.tidy_if_due(), "the clock was set back"
