"""Rollouts on dummy hosts: batches, gates, who is skipped, what is taken back, and that everybody is accounted for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kitchen import Kitchen, KitchenMaker, outcomes

from cookline.control.lifecycle.command import Command, Report
from cookline.control.stack.revision import freeze
from cookline.errors import UsageError

NAMES = tuple(f"app{number}" for number in range(1, 9))


@pytest.fixture
def fleet(make_kitchen: KitchenMaker) -> Kitchen:
    """Eight application servers that are online, and a second revision that differs in an attribute."""
    kitchen = make_kitchen(dict.fromkeys(NAMES, "app"))
    assert kitchen.do("setup").exit_code == 0
    stack = kitchen.directory / "shop.yml"
    stack.write_text(stack.read_text() + "attributes: {web: {colour: green}}\n")
    kitchen.store.push(freeze(stack), author="ann")
    kitchen.executed()
    kitchen.events.clear()
    return kitchen


def told(kitchen: Kitchen, kind: str) -> list[dict[str, Any]]:
    return [event for _name, event in kitchen.events if event["kind"] == kind]


def deploy(kitchen: Kitchen, **rollout: Any) -> Report:
    report = kitchen.do("deploy", apps=("shop",), rollout=rollout)
    assert sorted(result.instance for result in report.results) == sorted(NAMES), "each targeted instance once"
    assert sum(report.totals.values()) == len(NAMES)
    return report


def when(kitchen: Kitchen, name: str, kind: str, act: Callable[[], object]) -> None:
    """Do something the first time that an event of this kind is told of the instance."""
    done: list[bool] = []

    def look(instance: str, event: dict[str, Any]) -> None:
        if (instance, event["kind"]) == (name, kind) and not done:
            done.append(True)
            act()

    kitchen.dispatcher.progress.subscribe(look)


# -- batches ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "expected"),
    [(["25%"], [2, 2, 2, 2]), (["3"], [3, 3, 2]), (["1", "25%", "100%"], [1, 2, 5]), (["1%"], [1] * 8)],
)
def test_batches_are_counted_of_the_targeted(fleet: Kitchen, batch: list[str], expected: list[int]) -> None:
    report = deploy(fleet, batch=batch)
    assert (report.exit_code, dict(report.totals)) == (0, {"successful": 8})
    assert [len(event["instances"]) for event in told(fleet, "batch")] == expected
    assert report.rollout is not None and report.rollout["ended"] == "completed"
    assert sorted(fleet.executed()) == [(name, "deploy") for name in NAMES]


def test_a_batch_begins_when_the_one_before_has_ended(fleet: Kitchen) -> None:
    deploy(fleet, batch=["2"])
    order = [(name, event["kind"]) for name, event in fleet.events if event["kind"] in ("run_started", "outcome", "batch")]
    for number in range(4):
        part = order[number * 5 : number * 5 + 5]
        assert part[0] == ("", "batch")
        assert {name for name, _kind in part[1:]} == set(NAMES[number * 2 : number * 2 + 2])


def test_who_cannot_be_meant_counts_in_no_batch(fleet: Kitchen) -> None:
    fleet.do("stop", "app1")
    fleet.events.clear()
    report = fleet.do("deploy", "app1,app2,app3", apps=("shop",), rollout={"batch": ["1"]})
    assert outcomes(report) == {"app1": "skipped", "app2": "successful", "app3": "successful"}
    assert [event["instances"] for event in told(fleet, "batch")] == [["app2"], ["app3"]]


def test_setup_boots_batch_by_batch_and_configures_once(make_kitchen: KitchenMaker) -> None:
    kitchen = make_kitchen()
    report = kitchen.do("setup", rollout={"batch": ["1"]})
    assert report.exit_code == 0
    assert kitchen.provider.calls == [("create", ("lb1",)), ("create", ("app1",)), ("create", ("app2",))]
    assert [event for _name, event in kitchen.executed()] == ["setup"] * 3 + ["configure"] * 3


# -- failures ---------------------------------------------------------------------------------------------------------------


def test_a_failure_stops_the_rollout_and_who_never_began_is_told_why(fleet: Kitchen) -> None:
    fleet.hosts.host("app3").outcome = "failed"
    report = deploy(fleet, batch=["2"])
    assert dict(report.totals) == {"successful": 3, "failed": 1, "skipped": 4}
    assert report.exit_code == 1
    assert {result.reason for result in report.results if result.outcome == "skipped"} == {
        "never begun: 1 of 8 failed, tolerated are 0"
    }
    assert {name for name, _event in fleet.executed()} == set(NAMES[:4])


@pytest.mark.parametrize(("tolerated", "reached"), [("1", 4), ("25%", 6), ("3", 8), ("100%", 8), ("24%", 4)])
def test_tolerated_failures_are_counted_over_all_batches(fleet: Kitchen, tolerated: str, reached: int) -> None:
    for name in ("app1", "app3", "app5"):
        fleet.hosts.host(name).outcome = "failed"
    report = deploy(fleet, batch=["2"], max_unavailable=tolerated)
    assert len(fleet.executed()) == reached
    assert report.exit_code == 1, "a tolerated failure is a failure still"
    assert report.rollout is not None
    assert report.rollout["ended"] == ("completed" if reached == 8 else "stopped")


def test_an_unreachable_host_is_a_failure(fleet: Kitchen) -> None:
    fleet.dispatcher.pool().close()
    fleet.hosts.host("app1").away = True
    report = deploy(fleet, batch=["2"])
    assert dict(report.totals) == {"unreachable": 1, "successful": 1, "skipped": 6}
    assert report.exit_code == 4


# -- taking back ------------------------------------------------------------------------------------------------------------


def test_what_was_touched_and_nothing_else_goes_back(fleet: Kitchen) -> None:
    fleet.hosts.host("app3").outcome = "failed"
    fleet.hosts.host("app3").reason = "Service[shop] failed"
    when(fleet, "app3", "outcome", lambda: setattr(fleet.hosts.host("app3"), "outcome", "successful"))
    requests: list[tuple[str, int, Any]] = []
    report = deploy(fleet, batch=["2"], auto_rollback=True)
    for host in fleet.hosts.hosts.values():
        requests += [(host.name, each["revision"], each["attributes"].get("web")) for each in host.requests]
    new = {(name, 2, "green") for name in NAMES[:4]}
    assert {(name, revision, (web or {}).get("colour")) for name, revision, web in requests} == new | {
        (name, 1, None) for name in NAMES[:4]
    }
    assert dict(report.totals) == {"failed": 4, "skipped": 4}
    reasons = {result.instance: result.reason for result in report.results}
    assert reasons["app1"] == "taken back" and reasons["app3"] == "Service[shop] failed; taken back"
    assert report.rollout is not None and report.rollout["ended"] == "taken back"
    assert report.exit_code == 1


def test_batches_are_taken_back_in_reverse_order(fleet: Kitchen) -> None:
    fleet.hosts.host("app6").outcome = "failed"
    deploy(fleet, batch=["2"], auto_rollback=True)
    names = [name for name, _event in fleet.executed()]
    assert set(names[:6]) == set(NAMES[:6])
    assert [set(names[first : first + 2]) for first in (6, 8, 10)] == [
        {"app5", "app6"},
        {"app3", "app4"},
        {"app1", "app2"},
    ]


def test_going_back_goes_past_a_rollback_by_hand(fleet: Kitchen) -> None:
    """What stood before is not the last deployment when that was rolled back."""
    deploy(fleet)
    fleet.do("rollback", apps=("shop",))
    fleet.executed()
    for name in NAMES:
        fleet.hosts.host(name).outcome = "failed"
    fleet.do("deploy", "app1", apps=("shop",), rollout={"auto_rollback": True})
    assert [event for _name, event in fleet.executed()] == ["deploy", "deploy"]


def test_without_anything_known_to_be_good_nothing_is_guessed(make_kitchen: KitchenMaker) -> None:
    kitchen = make_kitchen()
    for name in ("lb1", "app1", "app2"):
        kitchen.hosts.host(name).outcome = "failed"
    report = kitchen.do("setup", rollout={"batch": ["1"], "auto_rollback": True})
    assert len(kitchen.executed()) == 1
    reason = report.results[0].reason
    assert reason is not None and "no setup of lb1 that was well is known" in reason


@pytest.mark.parametrize(
    ("kind", "rollout", "message"),
    [
        ("run", {"auto_rollback": True}, "cannot be taken back"),
        ("stop", {"batch": ["1"]}, "does not go in batches"),
        ("deploy", {"batch": ["0"]}, "never get on"),
        ("deploy", {"batch": ["two"]}, "neither a number"),
        ("deploy", {"batch": ["101%"]}, "neither a number"),
        ("deploy", {"gates": ["ftp://x/"]}, "no gate"),
        ("deploy", {"gates": ["http://{adress}/"]}, "unknown placeholder adress"),
        ("deploy", {"bach": ["1"]}, "knows no bach"),
    ],
)
def test_a_rollout_that_cannot_be_meant_is_refused(fleet: Kitchen, kind: str, rollout: Any, message: str) -> None:
    before = len(fleet.store.runs.commands(fleet.pushed.stack_id))
    with pytest.raises(UsageError, match=message):
        fleet.dispatcher.dispatch(Command(kind, "shop", recipes=("web::extra",), rollout=rollout))
    assert len(fleet.store.runs.commands(fleet.pushed.stack_id)) == before


# -- gates ------------------------------------------------------------------------------------------------------------------


class Health:
    """An HTTP server; `bad` are the paths that answer 503, `seen` all that were asked."""

    def __init__(self) -> None:
        health = self
        self.bad: set[str] = set()
        self.seen: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                health.seen.append(self.path)
                self.send_response(503 if self.path in health.bad else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def health() -> Any:
    made = Health()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_each_instance_is_asked_before_the_next_batch_begins(fleet: Kitchen, health: Health) -> None:
    report = deploy(fleet, batch=["2"], gates=[f"{health.url}/{{name}}"])
    assert report.exit_code == 0
    assert [set(health.seen[first : first + 2]) for first in (0, 2)] == [{"/app1", "/app2"}, {"/app3", "/app4"}]
    assert len(health.seen) == 8


def test_a_missed_gate_stops_and_takes_back(fleet: Kitchen, health: Health) -> None:
    health.bad.add("/app2")
    report = deploy(fleet, batch=["1"], gates=[f"{health.url}/{{name}}"], gate_within=0.1, auto_rollback=True)
    assert dict(report.totals) == {"failed": 2, "skipped": 6}
    reasons = {result.instance: result.reason for result in report.results}
    assert reasons["app2"] == f"gate: {health.url}/app2 answered 503; taken back"
    assert sorted(fleet.executed()) == [(name, "deploy") for name in ("app1", "app1", "app2", "app2")]


def test_a_gate_is_asked_again_until_it_is_passed(fleet: Kitchen, health: Health) -> None:
    health.bad.add("/app1")
    when(fleet, "app1", "gate", lambda: threading.Timer(0.2, health.bad.clear).start())
    assert deploy(fleet, gates=[f"{health.url}/{{name}}"]).exit_code == 0
    assert health.seen.count("/app1") > 1


def test_a_gate_that_is_missed_is_tolerated_like_a_failure(fleet: Kitchen, health: Health) -> None:
    health.bad.add("/app2")
    report = deploy(fleet, batch=["2"], gates=[f"{health.url}/{{name}}"], gate_within=0.1, max_unavailable="1")
    assert dict(report.totals) == {"successful": 7, "failed": 1}
    assert report.rollout is not None and report.rollout["ended"] == "completed"


def test_one_gate_for_a_whole_batch(fleet: Kitchen) -> None:
    report = deploy(fleet, batch=["4"], gates=["command:exit 7"], gate_within=0.1, max_unavailable="100%")
    assert dict(report.totals) == {"successful": 4, "skipped": 4}
    assert report.rollout is not None
    assert report.rollout["reason"] == "the gate was not passed: `exit 7` ended with 7"
    assert report.exit_code == 1


# -- pause, resume, abort ---------------------------------------------------------------------------------------------------


def paused_after_first(fleet: Kitchen, **rollout: Any) -> str:
    """A rollout that stands before its second batch."""
    stands = threading.Event()
    when(fleet, "app1", "run_started", lambda: fleet.dispatcher.pause(fleet.dispatcher.unfinished()[0].id))
    fleet.dispatcher.progress.subscribe(lambda _name, event: stands.set() if event["kind"] == "paused" else None)
    command = fleet.dispatcher.begin(Command("deploy", "shop", apps=("shop",), rollout={"batch": ["2"], **rollout}))
    assert stands.wait(20)
    assert len(fleet.executed()) == 2
    return command


def test_a_paused_rollout_goes_on_where_it_stood(fleet: Kitchen) -> None:
    command = paused_after_first(fleet)
    assert fleet.dispatcher.report(command).rollout["paused"] is True  # type: ignore[index]
    fleet.dispatcher.unpause(command)
    assert dict(fleet.dispatcher.wait(command).totals) == {"successful": 8}
    assert len(fleet.executed()) == 6


def test_an_aborted_rollout_takes_back_what_it_did(fleet: Kitchen) -> None:
    command = paused_after_first(fleet)
    fleet.dispatcher.abort(command)
    report = fleet.dispatcher.wait(command)
    assert dict(report.totals) == {"failed": 2, "skipped": 6}
    assert {result.reason for result in report.results} == {"taken back", "never begun: the rollout was aborted"}
    assert sorted(fleet.executed()) == [("app1", "deploy"), ("app2", "deploy")]


def test_an_aborted_rollout_may_keep_what_it_did(fleet: Kitchen) -> None:
    command = paused_after_first(fleet, auto_rollback=True)
    fleet.dispatcher.abort(command, keep=True)
    report = fleet.dispatcher.wait(command)
    assert (dict(report.totals), report.exit_code) == ({"successful": 2, "skipped": 6}, 1)
    assert fleet.executed() == []


def test_a_cancelled_rollout_is_left_as_it_is(fleet: Kitchen) -> None:
    command = paused_after_first(fleet, auto_rollback=True)
    fleet.dispatcher.cancel(command)
    report = fleet.dispatcher.wait(command)
    assert (dict(report.totals), report.exit_code) == ({"successful": 2, "skipped": 6}, 130)


def test_what_is_no_rollout_or_has_ended_cannot_be_paused(fleet: Kitchen) -> None:
    plain = fleet.do("configure").command
    with pytest.raises(UsageError, match="has no batches"):
        fleet.dispatcher.pause(plain)
    with pytest.raises(UsageError, match="has ended: completed"):
        fleet.dispatcher.abort(deploy(fleet).command)
