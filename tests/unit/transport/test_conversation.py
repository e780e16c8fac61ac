"""Runs are followed to their end over everything that can happen on the way; hosts that lie are found out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cookline.control.transport.base import LinkLost
from cookline.control.transport.diagnosis import UnknownRun
from cookline.control.transport.dummy import DummyHost
from cookline.control.transport.trees import Tree, TreeSet
from cookline.errors import AuthenticationError, HostileOutput, HostKeyError, HostStateError, Locked, Unreachable
from cookline.protocol import MAX_LINE_BYTES, encode
from tests.unit.transport.conftest import RUN, Converse, request


def follow(conversation: Any, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    finished = conversation.run(request(**fields), TreeSet(), events.append)
    return finished, events


def test_a_run_is_told_event_by_event_and_ends_with_its_outcome(converse: Converse, dummy: DummyHost) -> None:
    finished, events = follow(converse())
    assert [event["kind"] for event in events] == ["run_started", "changed", "changed", "changed", "run_finished"]
    assert finished == events[-1]
    assert finished["totals"]["changed"] == 3
    assert [one["run"] for one in dummy.requests] == [RUN]


def test_a_second_run_changes_nothing(converse: Converse) -> None:
    follow(converse())
    finished, _ = follow(converse(), run=RUN[:-1] + "1")
    assert finished["totals"] == {"unchanged": 3, "changed": 0, "failed": 0, "skipped": 0}


@pytest.mark.parametrize("cuts", [[1], [2], [3], [5], [1, 1, 1], [2, 3, 1, 2]])
def test_a_run_whose_link_is_cut_is_followed_on_without_a_gap(converse: Converse, dummy: DummyHost, cuts: list[int]) -> None:
    dummy.cut_after.extend(cuts)
    said: list[str] = []
    _, events = follow(converse(on_link=said.append))
    assert [event["seq"] for event in events] == [0, 1, 2, 3, 4]
    assert len(dummy.requests) == 1
    assert "connecting again" in said[0]
    assert "connected again" in said[-1]


def test_a_link_that_is_cut_before_the_run_has_begun_starts_it_once(converse: Converse, dummy: DummyHost) -> None:
    dummy.cut_after.append(0)
    _, events = follow(converse())
    assert len(events) == 5
    assert len(dummy.requests) == 1


def test_the_same_run_asked_for_twice_is_made_once(converse: Converse, dummy: DummyHost) -> None:
    first = follow(converse())
    assert follow(converse()) == first
    assert len(dummy.requests) == 1


def test_a_host_that_stays_away_in_mid_run_is_unreachable_and_the_run_may_go_on(converse: Converse, dummy: DummyHost) -> None:
    def leave(event: dict[str, Any]) -> None:
        dummy.away = True

    with pytest.raises(Unreachable, match="may still go on there") as caught:
        converse(reconnect_for=0.2).run(request(), TreeSet(), leave)
    assert caught.value.hint == f"cookline attach {RUN}"


def test_a_host_that_was_never_reached_keeps_its_own_reason(converse: Converse, dummy: DummyHost) -> None:
    dummy.unreachable = "refuses connections"
    with pytest.raises(Unreachable, match="refuses connections"):
        follow(converse())


@pytest.mark.parametrize(("knob", "error"), [("changed_key", HostKeyError), ("rejects_login", AuthenticationError)])
def test_what_waiting_does_not_mend_is_said_at_once(converse: Converse, dummy: DummyHost, knob: str, error: type) -> None:
    setattr(dummy, knob, True)
    with pytest.raises(error):
        follow(converse())


def test_a_deadline_ends_the_following_and_not_the_run(converse: Converse, dummy: DummyHost) -> None:
    dummy.seconds = 30.0
    with pytest.raises(Unreachable, match="longer than this command waits"):
        converse().run(request(), TreeSet(), lambda event: None, deadline=0.1)
    assert RUN in dummy.journals


def test_what_the_reader_raises_stops_the_following_and_not_the_run(converse: Converse, dummy: DummyHost) -> None:
    def stop(event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converse().run(request(), TreeSet(), stop)
    events: list[dict[str, Any]] = []
    converse().attach(RUN, events.append)
    assert len(events) == 5


def test_a_successor_attaches_at_an_offset(converse: Converse, dummy: DummyHost) -> None:
    follow(converse())
    offset = sum(len(line) for _, line in dummy.journals[RUN].lines[:2])
    events: list[dict[str, Any]] = []
    converse().attach(RUN, events.append, offset=offset)
    assert [event["seq"] for event in events] == [2, 3, 4]


def test_attaching_to_a_run_that_the_host_does_not_know_says_so(converse: Converse) -> None:
    with pytest.raises(UnknownRun):
        converse().attach(RUN, lambda event: None)


def test_a_cancelled_run_ends_early(converse: Converse, dummy: DummyHost) -> None:
    dummy.seconds = 60.0

    def cancel(event: dict[str, Any]) -> None:
        if event["kind"] == "run_started":
            converse().cancel(RUN)

    finished = converse().run(request(), TreeSet(), cancel)
    assert finished["outcome"] == "skipped"


def test_trees_that_the_host_lacks_travel_once(converse: Converse, dummy: DummyHost) -> None:
    dummy.lacks_trees = True
    trees = TreeSet()
    book = trees.add(Tree.of_contents({"recipes/setup.py": b"x" * 700_000, "files/empty": b"", "files/copy": b""}))
    converse().run(request(trees={"cookbook:nginx": book}), trees, lambda event: None)
    assert sorted(map(len, dummy.contents.values())) == [0, 700_000]
    dummy.contents.clear()
    converse().run(request(RUN[:-1] + "1", trees={"cookbook:nginx": book}), trees, lambda event: None)
    assert dummy.contents == {}


def test_refusals_keep_the_sentence_of_the_host(converse: Converse, dummy: DummyHost) -> None:
    dummy.refuses = {"reason": "locked", "error": "run 01X of anna since 10:00"}
    with pytest.raises(Locked, match="anna"):
        follow(converse())
    dummy.refuses = {"reason": "host", "error": "snapshot 3 is older than 5", "hint": "cookline push"}
    with pytest.raises(HostStateError, match="older than 5") as caught:
        follow(converse())
    assert caught.value.hint == "cookline push"


def event(sequence: Any = 0, **fields: Any) -> bytes:
    return encode({"kind": "log", "text": "x", "seq": sequence, **fields})


@pytest.mark.parametrize(
    "lines",
    [
        [b"not json\n"],
        [b'{"kind":"surprise","seq":0}\n'],
        [b'"text"\n'],
        [event(1)],
        [event(0), event(0)],
        [event(0), event(2)],
        [event(True)],
        [event("0")],
        [event(-1)],
        [encode({"kind": "log"})],
        [event(run="01J99999999999999999999999")],
        [b"[" * 100_000 + b"\n"],
        [event(text=json.loads("[" * 20 + "]" * 20))],
        [b"x" * (MAX_LINE_BYTES + 1)],
        [encode({"kind": "need", "trees": ["0" * 64]})],
        [encode({"kind": "need", "trees": "everything"})],
    ],
)
def test_a_host_that_breaks_the_protocol_is_called_hostile(converse: Converse, dummy: DummyHost, lines: list[bytes]) -> None:
    dummy.hostile = lines
    with pytest.raises(HostileOutput):
        follow(converse())


def test_a_host_that_asks_for_more_than_it_was_offered_gets_nothing(converse: Converse, dummy: DummyHost) -> None:
    trees = TreeSet()
    book = trees.add(Tree.of_contents({"a": b"1"}))
    dummy.hostile = [encode({"kind": "need", "trees": [book]}), encode({"kind": "lacks", "files": ["0" * 64]})]
    with pytest.raises(HostileOutput):
        converse().run(request(trees={"cookbook:a": book}), trees, lambda event: None)


def test_a_flood_is_cut_off(converse: Converse, dummy: DummyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookline.control.transport.session.MAX_RUN_BYTES", 10_000)
    dummy.hostile = [event(number, text="y" * 500) for number in range(100)]
    with pytest.raises(HostileOutput, match="more than 10000 bytes"):
        follow(converse())


def test_escape_sequences_of_a_host_reach_nobody(converse: Converse, dummy: DummyHost) -> None:
    dummy.script = lambda request: [{"kind": "log", "text": "\x1b]0;title\x07 \u202e", "nested": {"\x9bkey": ["\x00"]}}]
    _, events = follow(converse())
    assert events[1]["text"] == "\\x1b]0;title\\x07 \\u202e"
    assert events[1]["nested"] == {"\\x9bkey": ["\\x00"]}


def test_a_follower_that_dies_is_started_again_where_it_stopped(converse: Converse, dummy: DummyHost) -> None:
    _, whole = follow(converse())
    events: list[dict[str, Any]] = []
    dummy.hostile = [line for _, line in dummy.journals[RUN].lines[:2]] + [b""]
    converse().attach(RUN, events.append)
    assert events == whole


def test_a_follower_that_keeps_dying_is_given_up(converse: Converse, dummy: DummyHost) -> None:
    follow(converse())
    dummy.journals[RUN].lines.clear()
    with pytest.raises(Unreachable, match="may still go on there"):
        converse().attach(RUN, lambda event: None)


# -- other operations --------------------------------------------------------------------------------------------------


def test_records_are_collected_and_dropped_when_acknowledged(converse: Converse, dummy: DummyHost) -> None:
    dummy.records = [{"seq": number, "kind": "metric"} for number in range(5)]
    answer, records = converse().collect(-1, 3)
    assert [record["seq"] for record in records] == [0, 1, 2]
    assert answer["records"] == 3
    _, records = converse().collect(2, 3)
    assert [record["seq"] for record in records] == [3, 4]


def test_drift_facts_and_status_are_answered(converse: Converse, dummy: DummyHost) -> None:
    dummy.findings = [{"resource": "File[/etc/motd]"}]
    dummy.facts = {"os.family": "debian"}
    assert converse().drift()[1] == [{"resource": "File[/etc/motd]"}]
    assert converse().facts(["os.family"])["facts"] == {"os.family": "debian"}
    assert converse().status()["runs"] == []


def test_an_operation_survives_a_connection_that_died_while_it_was_kept(converse: Converse, dummy: DummyHost) -> None:
    converse().status()
    dummy.cut_after.append(1)
    assert converse().status()["kind"] == "answer"
    dummy.cut_after.extend([1, 1])
    with pytest.raises(LinkLost):
        converse().status()


def test_connections_are_kept_between_operations(converse: Converse, dummy: DummyHost) -> None:
    for _ in range(3):
        converse().status()
    assert dummy.connections == 1
