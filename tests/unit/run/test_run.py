"""What a run does, step by step, and what stands in its journal."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cookline.host import paths
from cookline.host.run import journal, lock, owed
from cookline.host.run.follow import close_dead
from tests.unit.run.conftest import OWN_KINDS


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def end(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert events[-1]["kind"] == "run_finished"
    return events[-1]


@contextmanager
def held(holder: dict[str, Any] | None) -> Iterator[None]:
    """The host's lock in the hands of another run; None: of somebody who reads who has it."""
    os.makedirs(paths.STATE_DIRECTORY, exist_ok=True)
    with open(paths.LOCK, "w+") as file:
        if holder is not None:
            json.dump(holder, file)
            file.flush()
        fcntl.flock(file, fcntl.LOCK_SH if holder is None else fcntl.LOCK_EX)
        yield


ONE_NOTE = """
    def recipe(node):
        node.ensure(Note(node["etc"] + "/a", text="hello"), later=Tell(node["etc"] + "/told"))
"""


def test_a_second_run_changes_nothing_and_owes_nothing(kitchen):
    kitchen.recipe(ONE_NOTE)
    first, second = kitchen.run(), kitchen.run()
    assert kinds(first) == [
        "run_started",
        "recipe_started",
        "started",
        "changed",
        "action_started",
        "action_finished",
        "run_finished",
    ]
    assert kinds(second) == ["run_started", "recipe_started", "unchanged", "run_finished"]
    assert (kitchen.etc / "a").read_text() == "hello"
    assert (kitchen.etc / "told").read_text() == "told\n"
    assert end(second)["outcome"] == "successful" and end(second)["totals"] == {"unchanged": 1}


def test_events_are_numbered_and_name_the_authors_line(kitchen):
    kitchen.recipe(ONE_NOTE)
    events = kitchen.run()
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[3]["line"] == "cookbooks/shop/recipes/default.py:4"
    assert events[3]["changes"] == [{"field": "text", "from": None, "to": "hello"}]


def test_what_is_owed_is_journalled_before_the_change(kitchen):
    kitchen.recipe(ONE_NOTE)
    events = kitchen.run()
    started = next(event for event in events if event["kind"] == "started")
    assert [debt["action"] for debt in started["owed"]] == [f"Tell[{kitchen.etc}/told]"]


def test_a_failed_run_stops_there_and_the_next_run_pays_what_it_owed(kitchen):
    kitchen.recipe("""
        def recipe(node):
            node.ensure(Note(node["etc"] + "/a", text="hello"), later=Tell(node["etc"] + "/told"))
            node.ensure(Note(node["etc"] + "/b", text="x", breaks="before"))
            node.ensure(Note(node["etc"] + "/c", text="never"))
    """)
    failed = end(kitchen.run())
    assert failed["outcome"] == "failed" and "it broke" in failed["error"]
    assert "cookbooks/test/resources/kinds.py" in failed["error"], "the author's own line is shown"
    assert not (kitchen.etc / "c").exists() and not (kitchen.etc / "told").exists()
    assert [debt["action"] for debt in failed["owed"]] == [f"Tell[{kitchen.etc}/told]"]

    kitchen.recipe("def recipe(node): pass")
    paid = kitchen.run(event="configure")
    assert (kitchen.etc / "told").read_text() == "told\n"
    assert paid[0]["carried"][0]["because"] == f"Note[{kitchen.etc}/a]"
    assert end(paid)["owed"] == [] and owed.of_host() == []


def test_a_resource_that_does_not_hold_is_a_failure(kitchen):
    kitchen.recipe('def recipe(node): node.ensure(Note(node["etc"] + "/a", text="x", breaks="silently"))')
    assert "still differs after it was applied: text is None, not 'x'" in end(kitchen.run())["error"]


def test_ignore_failure_goes_on(kitchen):
    kitchen.recipe("""
        def recipe(node):
            outcome = node.ensure(Note(node["etc"] + "/a", text="x", breaks="before", ignore_failure=True))
            node.ensure(Note(node["etc"] + "/b", text=str(outcome.failed)))
    """)
    assert end(kitchen.run())["outcome"] == "successful"
    assert (kitchen.etc / "b").read_text() == "True"


def test_retries_try_again(kitchen):
    kitchen.recipe("""
        def recipe(node):
            node.ensure(Note(node["etc"] + "/a", text="x", breaks="after", retries=2, retry_delay=0.001, ignore_failure=True))
    """)
    assert kinds(kitchen.run()).count("log") == 2


def test_guards_skip_with_a_reason(kitchen):
    kitchen.recipe("""
        def recipe(node):
            node.ensure(Note(node["etc"] + "/a", text="x", only_if="false"))
            node.ensure(Note(node["etc"] + "/b", text="x", not_if=lambda: True))
            node.ensure(Note(node["etc"] + "/c", text="x", only_if=["true", "test -d /"], not_if="false"))
    """)
    events = kitchen.run()
    assert [event.get("reason") for event in events if event["kind"] == "skipped"] == [
        "only_if `false` is not so",
        "not_if <lambda> is so",
    ]
    assert sorted(os.listdir(kitchen.etc)) == ["c"]


def test_a_typo_in_a_field_names_the_right_one(kitchen):
    kitchen.recipe('def recipe(node): node.ensure(Note("/x", txet="x"))')
    error = end(kitchen.run())["error"]
    assert "Note has no field 'txet'; did you mean 'text'?" in error
    assert "at cookbooks/shop/recipes/default.py:2" in error


def test_a_missing_attribute_names_the_nearest(kitchen):
    kitchen.recipe('def recipe(node): node["shop"]["prot"]')
    error = end(kitchen.run(attributes={"shop": {"port": 80}}))["error"]
    assert "there is no attribute 'prot' under 'shop'; did you mean 'port'?" in error


def test_a_recipe_that_raises_and_one_with_a_syntax_error_show_the_authors_line(kitchen):
    kitchen.recipe("def recipe(node):\n    1 / 0")
    error = end(kitchen.run())["error"]
    assert "ZeroDivisionError" in error and "cookbooks/shop/recipes/default.py:3" in error and "engine.py" not in error
    kitchen.recipe("def recipe(node)\n    pass")
    assert "cookbooks/shop/recipes/default.py:2: expected ':'" in end(kitchen.run())["error"]


def test_a_recipe_that_is_not_there_is_named_with_the_nearest(kitchen):
    kitchen.recipe("def recipe(node): pass")
    assert "cookbook 'shop' has no recipe 'defualt'; did you mean 'default'?" in end(kitchen.run("shop::defualt"))["error"]
    assert "no cookbook 'shpo'; did you mean 'shop'?" in end(kitchen.run("shpo"))["error"]


def test_include_runs_another_recipe_once(kitchen):
    kitchen.recipe(
        """
        def recipe(node):
            node.include("shop::other")
            node.include("shop::other")
        """,
        **{"recipes/other.py": "def recipe(node): node.log('other ran')"},
    )
    assert [event["text"] for event in kitchen.run() if event["kind"] == "log"] == ["other ran"]


def test_secrets_are_masked_in_every_form(kitchen):
    secret = 'hunter2"quoted\nsecond line of it'
    kitchen.recipe("""
        import base64, urllib.parse, shlex
        def recipe(node):
            value = node["password"]
            node.log(value + base64.b64encode(value.encode()).decode() + urllib.parse.quote(value) + shlex.quote(value))
            node.ensure(Note(node["etc"] + "/a", text=value))
            raise RuntimeError("second line of it")
    """)
    kitchen.run(attributes={"password": secret}, secrets=[secret])
    assert (kitchen.etc / "a").read_text() == secret
    assert "hunter2" not in kitchen.journal_text and "second line of it" not in kitchen.journal_text
    assert "aHVudGVyM" not in kitchen.journal_text and "FILTERED" in kitchen.journal_text


def test_a_secret_that_is_a_word_of_the_protocol_does_not_break_the_journal(kitchen):
    kitchen.recipe(ONE_NOTE)
    assert end(kitchen.run(secrets=["run_finished", "changed", "successful"]))["outcome"] == "successful"


def test_a_plan_changes_nothing_and_says_what_would_change(kitchen):
    kitchen.recipe(ONE_NOTE)
    events = kitchen.run(apply=False)
    assert kinds(events) == ["run_started", "recipe_started", "will_change", "run_finished"]
    assert os.listdir(kitchen.etc) == [] and not os.path.exists(paths.RUNS)


def test_a_plan_refuses_a_recipe_that_writes_by_itself(kitchen):
    kitchen.recipe("""
        import subprocess
        def recipe(node):
            with open(node["etc"] + "/sneaky", "w") as file:
                file.write("x")
    """)
    error = end(kitchen.run(apply=False))["error"]
    assert "cookbooks/shop/recipes/default.py:5: a plan must not change anything" in error
    assert os.listdir(kitchen.etc) == []
    assert end(kitchen.run())["outcome"] == "successful", "a real run may"


def test_an_older_snapshot_and_another_store_are_refused(kitchen):
    kitchen.recipe("def recipe(node): pass")
    snapshot = {"store": "A", "number": 7}
    assert end(kitchen.run(snapshot=snapshot))["outcome"] == "successful"
    assert "snapshot 6 is older than 7" in end(kitchen.run(snapshot={"store": "A", "number": 6}))["error"]
    assert "managed by another store" in end(kitchen.run(snapshot={"store": "B", "number": 9}))["error"]
    assert end(kitchen.run(snapshot={"store": "B", "number": 1}, take_over=True))["outcome"] == "successful"


def test_a_lock_that_is_held_ends_the_run_as_expired_and_names_the_holder(kitchen):
    kitchen.recipe("def recipe(node): pass")
    with held({"run": "OTHER", "event": "deploy", "stack": "shop"}):
        events = kitchen.run(lock_wait=0.1)
    assert kinds(events) == ["waiting", "run_finished"]
    assert end(events)["outcome"] == "expired" and "run OTHER (deploy of shop)" in end(events)["reason"]


@pytest.mark.parametrize("holder", [{"run": "OTHER", "ending": True}, None], ids=["ending", "only looked at"])
def test_a_lock_that_is_about_to_be_let_go_is_waited_for_by_runs_that_wait_for_none(kitchen, holder, monkeypatch):
    kitchen.recipe("def recipe(node): pass")
    with ExitStack() as hold:
        hold.enter_context(held(holder))
        monkeypatch.setattr(lock.time, "sleep", lambda seconds: hold.close())
        events = kitchen.run(lock_wait=0.0)
    assert end(events)["outcome"] == "successful" and "waiting" not in kinds(events)


def test_a_run_that_waited_in_vain_hides_nothing_that_the_host_owes(kitchen):
    kitchen.recipe(ONE_NOTE)
    kitchen.run(run="dies")
    path = Path(journal.run_directory("dies"), "journal.ndjson")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))  # it died before the action
    with held({"run": "OTHER"}):
        assert end(kitchen.run(lock_wait=0.0))["outcome"] == "expired"
    assert [debt["action"] for debt in owed.of_host()] == [f"Tell[{kitchen.etc}/told]"]
    assert end(kitchen.run())["outcome"] == "successful"
    assert (kitchen.etc / "told").read_text() == "told\ntold\n"


def test_a_run_is_made_once(kitchen):
    kitchen.recipe("def recipe(node): pass")
    kitchen.run(run="same")
    assert journal.create("same", apply=True) is None


def test_a_dead_run_is_closed_as_interrupted_and_still_owes(kitchen):
    kitchen.recipe(ONE_NOTE)
    events = kitchen.run(run="dies")
    directory = journal.run_directory("dies")
    path = Path(directory, "journal.ndjson")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # it died while it wrote the fourth line
    close_dead(directory)
    closed = list(journal.read(directory))
    assert kinds(closed) == [*kinds(events)[:3], "run_finished"]
    assert closed[-1]["reason"] == "interrupted" and [debt["action"] for debt in closed[-1]["owed"]] == [
        f"Tell[{kitchen.etc}/told]"
    ]
    assert [debt["action"] for debt in kitchen.run()[0]["carried"]] == [f"Tell[{kitchen.etc}/told]"]


def test_a_cancelled_run_starts_no_further_resource(kitchen):
    kitchen.recipe("""
        def recipe(node):
            node.ensure(Note(node["etc"] + "/a", text="x"))
            with open(node["cancel"], "w"):
                pass
            node.ensure(Note(node["etc"] + "/b", text="x"))
    """)
    events = kitchen.run(run="mine", attributes={"cancel": journal.run_directory("mine") + "/cancel"})
    assert end(events)["outcome"] == "skipped" and os.listdir(kitchen.etc) == ["a"]


def test_runs_are_kept_up_to_thirty(kitchen):
    kitchen.recipe("def recipe(node): pass")
    for _ in range(journal.RUNS_KEPT + 3):
        kitchen.run()
    assert len(os.listdir(paths.RUNS)) in (journal.RUNS_KEPT, journal.RUNS_KEPT + 1)


@pytest.mark.parametrize("source", ["../../secrets", "sub/../../x"])
def test_a_source_never_leaves_its_cookbook(kitchen, source):
    kitchen.recipe(
        f"def recipe(node): node._engine.cookbooks.path('shop', 'files', {source!r})", **{"files/a": "x", "secrets": "s"}
    )
    assert "leaves cookbooks/shop/files" in end(kitchen.run())["error"]


def test_what_a_run_declared_stands_in_the_inventory(kitchen):
    kitchen.recipe(ONE_NOTE)
    assert "notes" not in end(kitchen.run())
    entry = json.loads(Path(paths.INVENTORY).read_text())["declarations"][f"Note[{kitchen.etc}/a]"]
    assert entry["desired"] == {"text": "hello"} and entry["declaration"]["path"] == f"{kitchen.etc}/a"
    assert entry["line"] == "cookbooks/shop/recipes/default.py:4" and entry["recipe"] == "shop::default"


def test_a_run_counts_where_its_plan_was_wrong(kitchen):
    kitchen.recipe("""
        def recipe(node):
            node.ensure(Note(node["etc"] + "/kept", text="x"))
            node.ensure(Note(node["etc"] + "/spoilt", text="x"))
            node.ensure(Note(node["etc"] + "/new", text="x"))
    """)
    for name in ("kept", "spoilt"):
        (kitchen.etc / name).write_text("x")
    assert kinds(kitchen.run(apply=False))[2:5] == ["will_not", "will_not", "will_change"]
    (kitchen.etc / "spoilt").write_text("somebody was here")
    finished = end(kitchen.run())
    assert finished["mismatches"] == 1
    assert finished["mismatched"] == [{"name": f"Note[{kitchen.etc}/spoilt]", "planned": "will_not", "was": "changed"}]
    assert "mismatches" not in end(kitchen.run()), "the plan was for the run before"


FAILS_OWING = ONE_NOTE.rstrip(" ") + '        node.ensure(Note(node["etc"] + "/b", text="x", breaks="before"))\n'


def test_recipes_after_a_failure_are_unprocessed(kitchen):
    kitchen.cookbook("broken", {"recipes/default.py": "def recipe(node):\n    raise ValueError('no')\n"})
    kitchen.cookbook("after", {"recipes/default.py": "def recipe(node): pass", "recipes/more.py": "def recipe(node): pass"})
    kitchen.recipe(ONE_NOTE)
    finished = end(kitchen.run(recipes=["shop", "broken", "after", "after::more"]))
    assert finished["outcome"] == "failed" and finished["unprocessed"] == ["after", "after::more"]
    assert "unprocessed" not in end(kitchen.run(recipes=["shop", "after"]))


def test_what_is_owed_by_a_kind_that_is_gone_is_dropped_with_the_reason(kitchen):
    kitchen.recipe(FAILS_OWING)
    assert [debt["kind"] for debt in end(kitchen.run())["owed"]] == ["Tell"]
    kitchen.cookbook("shop", {"recipes/default.py": "def recipe(node): pass"})
    kitchen.cookbook("test", {"resources/kinds.py": OWN_KINDS.replace("class Tell", "class Told")})
    events = kitchen.run()
    (dropped,) = [event for event in events if event["kind"] == "action_finished"]
    assert dropped["outcome"] == "skipped" and "its kind cannot be loaded" in dropped["reason"]
    assert end(events)["outcome"] == "successful" and end(events)["owed"] == [] == owed.of_host()


def test_what_a_run_without_the_cookbook_cannot_pay_stays_owed(kitchen):
    kitchen.recipe(FAILS_OWING)
    kitchen.run()
    book = kitchen.trees.pop("cookbook:test")
    kitchen.cookbook("other", {"recipes/default.py": "def recipe(node): pass"})
    events = kitchen.run(recipe="other")
    assert end(events)["outcome"] == "successful" and len(end(events)["owed"]) == 1
    assert any("stays owed until a run has the cookbook 'test'" in str(event.get("text")) for event in events)
    kitchen.trees["cookbook:test"] = book
    assert end(kitchen.run(recipe="other"))["owed"] == [] and (kitchen.etc / "told").read_text() == "told\n"
