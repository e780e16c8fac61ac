"""The store: what was written is there for the next process, in order, once, and for nobody else to read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cookline.control.store.identifiers import is_identifier, new_identifier
from cookline.control.store.runs import CommandRecord, RunRecord
from cookline.control.store.store import Store
from cookline.errors import CooklineError, SelectorError


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / ".cookline") as opened:
        yield opened


@pytest.fixture
def shop(store: Store):
    """A pushed stack with the instances app1 and db1."""
    pushed = store.revisions.push("shop", {"n": 1}, "hash-1", author="ann")
    store.instances.declare(pushed.stack_id, {"app1": (("app",), "static"), "db1": (("db",), "container")})
    return pushed


def test_nobody_else_can_read_it(store: Store) -> None:
    assert stat.S_IMODE(os.stat(store.directory).st_mode) == 0o700
    for path in store.directory.glob("store.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_store_id_stays(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as first:
        identity = first.id
    with Store(tmp_path / "s") as second:
        assert second.id == identity


def test_a_newer_schema_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.database.execute("PRAGMA user_version=999")
    with pytest.raises(CooklineError, match="newer cookline") as caught:
        Store(tmp_path / "s")
    assert "upgrade" in str(caught.value.hint)


def test_another_process_reads_while_a_write_is_open(store: Store, shop) -> None:
    script = "import sys; from cookline.control.store.store import Store; print(Store(sys.argv[1]).revisions.stacks())"
    with store.database.transaction():
        store.revisions.push("shop", {"n": 2}, "hash-2", author="ann")
        read = subprocess.run([sys.executable, "-c", script, store.directory], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == "['shop']"


def test_identifiers_sort_by_the_time_they_were_made() -> None:
    made = [new_identifier() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(map(is_identifier, made))


def test_revisions_are_numbered_and_an_equal_push_is_no_new_one(store: Store, shop) -> None:
    again = store.revisions.push("shop", {"n": 1}, "hash-1", author="bob", message="the same")
    second = store.revisions.push("shop", {"n": 2}, "hash-2", author="bob", message="more")
    assert (shop.number, again.number, second.number) == (1, 1, 2)
    assert store.revisions.get("shop", 1).content == {"n": 1} and store.revisions.newest("shop") == 2
    assert [(each.author, each.message) for each in store.revisions.all("shop")] == [("ann", ""), ("bob", "more")]


def test_an_unknown_stack_names_the_nearest(store: Store, shop) -> None:
    with pytest.raises(SelectorError, match="did you mean 'shop'"):
        store.revisions.get("shpo")


def test_an_instance_that_comes_back_keeps_its_id(store: Store, shop) -> None:
    before = {each.name: each.id for each in store.instances.of(shop.stack_id)}
    store.instances.declare(shop.stack_id, {"db1": (("db",), "container")})
    assert [each.name for each in store.instances.of(shop.stack_id)] == ["db1"]
    store.instances.declare(shop.stack_id, {"app1": (("app",), "static"), "db1": (("db",), "container")})
    assert {each.name: each.id for each in store.instances.of(shop.stack_id)} == before


def test_blobs_are_found_by_hash_and_damage_is_seen(store: Store) -> None:
    name = store.blobs.put(b"content")
    assert store.blobs.get(name) == b"content"
    store.blobs.path(name).write_bytes(b"tampered")
    with pytest.raises(CooklineError, match="damaged"):
        store.blobs.get(name)


def test_a_blob_name_is_never_a_path(store: Store) -> None:
    with pytest.raises(CooklineError):
        store.blobs.path("../store.db")


def _command(store: Store, stack_id: str, *instances: str) -> tuple[str, list[str]]:
    ids = {each.name: each.id for each in store.instances.of(stack_id)}
    command = CommandRecord(new_identifier(), stack_id, "configure", 1, {}, "ann", 1.0)
    runs = [RunRecord(new_identifier(), command.id, ids[name], name, 0, "configure", 1.0) for name in instances]
    store.runs.add_command(command)
    store.runs.add(runs)
    return command.id, [run.id for run in runs]


def test_the_first_ending_of_a_run_stands(store: Store, shop) -> None:
    _, [run] = _command(store, shop.stack_id, "app1")
    assert store.runs.finish(run, "successful", totals={"changed": 3})
    assert not store.runs.finish(run, "failed", "too late")
    kept = store.runs.run(run)
    assert (kept.outcome, kept.changed) == ("successful", 3)


def test_an_outcome_outside_the_six_is_refused(store: Store, shop) -> None:
    _, [run] = _command(store, shop.stack_id, "app1")
    with pytest.raises(ValueError):
        store.runs.finish(run, "fine")


def test_one_instance_is_claimed_by_one_run(store: Store, shop) -> None:
    _, [first] = _command(store, shop.stack_id, "app1")
    _, [second] = _command(store, shop.stack_id, "app1")
    instance = store.runs.run(first).instance_id
    assert store.runs.claim(instance, first)
    assert store.runs.claim(instance, first), "the holder may ask again"
    assert not store.runs.claim(instance, second)
    store.runs.release(instance, second)
    assert not store.runs.claim(instance, second), "only the holder releases"
    store.runs.release(instance, first)
    assert store.runs.claim(instance, second)


def test_a_run_is_found_by_the_start_of_its_id(store: Store, shop) -> None:
    command, [first, _second] = _command(store, shop.stack_id, "app1", "db1")
    assert store.runs.find(first.lower()).id == first
    assert store.runs.find(command).id == command
    with pytest.raises(SelectorError, match="several"):
        store.runs.find(first[:6])


def test_a_report_is_written_once_even_when_events_are_sent_again(store: Store) -> None:
    run = new_identifier()
    with store.reports.open(run) as report:
        assert [report.add({"kind": "log", "seq": n}) for n in (0, 1)] == [True, True]
    with store.reports.open(run) as report:
        assert [report.add({"kind": "log", "seq": n}) for n in (0, 1, 2)] == [False, False, True]
    assert [event["seq"] for event in store.reports.events(run)] == [0, 1, 2]


def test_a_half_written_last_line_of_a_report_is_passed_over(store: Store) -> None:
    run = new_identifier()
    with store.reports.open(run) as report:
        report.add({"kind": "log", "seq": 0})
    with store.reports.path(run).open("ab") as stream:
        stream.write(b'{"kind": "lo')
    with store.reports.open(run) as report:
        report.add({"kind": "log", "seq": 1})
    assert [event["seq"] for event in store.reports.events(run)] == [0, 1]


def test_snapshots_count_up_when_something_changed(store: Store, shop) -> None:
    numbers = [store.snapshots.take(shop.stack_id, content) for content in ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 1})]
    assert numbers == [1, 1, 2, 3]
    assert store.snapshots.get(2) == {"a": 2}


def test_a_finding_keeps_its_first_time_until_it_is_cleared(store: Store, shop) -> None:
    instance = store.instances.of(shop.stack_id)[0]
    finding = {"resource": "File[/etc/motd]", "differences": {"mode": ["0644", "0600"]}}
    store.findings.report(instance.id, finding, detected_by="watch")
    first = store.findings.of(shop.stack_id)[0]
    store.findings.report(instance.id, finding, detected_by="timer")
    again = store.findings.of(shop.stack_id)[0]
    assert (again.since, again.detected_by) == (first.since, "watch")
    store.findings.replace(instance.id, [])
    assert store.findings.of(shop.stack_id) == []
    assert len(store.findings.of(shop.stack_id, cleared=True)) == 1


def test_a_timer_is_kept_until_it_is_cleared_and_never_holds_longer_than_it_may(store: Store) -> None:
    assert not store.timers.get("app1", "hold").holds(1000.0, 60.0)
    store.timers.set("app1", "hold", 1030.0, times=2)
    timer = store.timers.get("app1", "hold")
    assert timer.data == {"times": 2} and timer.holds(1000.0, 60.0) and not timer.holds(1030.0, 60.0)
    assert not timer.holds(900.0, 60.0), "the clock was set back"
    store.timers.clear("app1", "hold")
    assert store.timers.get("app1", "hold").data == {}
