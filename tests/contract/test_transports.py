"""What every transport does, whoever stands at the other end: a real host over SSH, this machine, a dummy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cookline.control.store.identifiers import new_identifier
from cookline.control.transport.base import LinkLost, Target
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.diagnosis import UnknownRun
from cookline.control.transport.pool import Pool
from cookline.control.transport.session import Session
from cookline.control.transport.trees import Tree, TreeSet
from cookline.protocol import RunRequest

BOOK = Tree.of_contents(
    {
        "cookbook.yml": b"name: test\nversion: 1.0.0\n",
        "recipes/default.py": b"from cookline import Execute\n\n\ndef recipe(node):\n    node.ensure(Execute('true'))\n",
    }
)


@dataclass
class Case:
    pool: Pool
    target: Target

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.pool, self.target, reconnect_for=10.0)

    def request(self, run: str | None = None) -> RunRequest:
        trees = {"cookbook:test": BOOK.hash}
        return RunRequest(
            run or new_identifier(), self.target.instance, "i-1", "shop", "execute_recipes", ["test"], trees=trees
        )

    def follow(self, request: RunRequest) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        self.conversation.run(request, TreeSet([BOOK]), events.append, deadline=60.0)
        return events


@pytest.fixture(params=["ssh", "local", "dummy"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    with Pool() as pool:
        yield Case(pool, TARGETS[request.param](request, tmp_path))


def over_ssh(request: pytest.FixtureRequest, directory: Path) -> Target:
    from tests.lab.runs import target_of

    return target_of(request.getfixturevalue("host"), directory)


def local(request: pytest.FixtureRequest, directory: Path) -> Target:
    return Target(
        "here", "localhost", python="/usr/bin/python3", transport="local", options={"state": str(directory / "state")}
    )


def dummy(request: pytest.FixtureRequest, directory: Path) -> Target:
    return Target("dummy1", "192.0.2.1", transport="dummy", options={"lacks_trees": True})


TARGETS: dict[str, Callable[[pytest.FixtureRequest, Path], Target]] = {"ssh": over_ssh, "local": local, "dummy": dummy}


def test_hello_names_protocol_python_and_machine(case: Case) -> None:
    hello = case.conversation.hello()
    assert hello["protocol"] == 1
    assert hello["machine"] in case.conversation.bundle.hashes
    assert tuple(map(int, hello["python"].split(".")[:2])) >= (3, 9)


def test_a_run_arrives_with_what_it_needs_and_is_told_in_order(case: Case) -> None:
    events = case.follow(case.request())
    assert [events[0]["kind"], events[-1]["kind"]] == ["run_started", "run_finished"]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1]["outcome"] == "successful", events


def test_a_run_is_made_once_however_often_it_is_asked_for(case: Case) -> None:
    request = case.request()
    first = case.follow(request)
    assert case.follow(request) == first
    assert case.conversation.status()["runs"] == [request.run]


def test_attach_shows_a_run_again_from_any_event_on(case: Case) -> None:
    request = case.request()
    events = case.follow(request)
    again: list[dict[str, Any]] = []
    case.conversation.attach(request.run, again.append)
    assert again == events


def test_attach_to_a_run_that_is_not_there_says_so(case: Case) -> None:
    with pytest.raises(UnknownRun):
        case.conversation.attach(new_identifier(), lambda event: None)


def test_operations_at_once_do_not_mix(case: Case) -> None:
    requests = [case.request() for _ in range(4)]
    ends = case.pool.each(lambda request: case.follow(request)[-1], requests)
    assert [end["run"] for end in ends] == [request.run for request in requests]


def test_a_silent_host_is_not_waited_for_longer_than_said(case: Case) -> None:
    session = Session(case.pool.connection(case.target), case.conversation.bundle)
    with pytest.raises(TimeoutError):
        session.channel.readline(timeout=0.05)
    session.close()


def test_a_closed_connection_starts_nothing(case: Case) -> None:
    connection = case.pool.connection(case.target)
    assert connection.alive()
    case.pool.drop(case.target)
    assert not connection.alive()
    with pytest.raises(LinkLost):
        connection.execute("true")


def test_the_pool_keeps_one_connection_for_all_who_ask_at_once(case: Case) -> None:
    gate = threading.Barrier(8)

    def ask(_: int) -> object:
        gate.wait(10)
        return case.pool.connection(case.target)

    assert len(set(map(id, case.pool.each(ask, range(8))))) == 1


def test_a_conversation_goes_on_over_a_new_connection_after_a_drop(case: Case) -> None:
    case.conversation.status()
    case.pool.drop(case.target)
    assert case.conversation.status()["kind"] == "answer"


def test_what_a_reader_raises_stops_the_following_alone(case: Case) -> None:
    request = case.request()

    def interrupt(event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.conversation.run(request, TreeSet([BOOK]), interrupt)
    events: list[dict[str, Any]] = []
    end = case.conversation.attach(request.run, events.append, deadline=30.0)
    assert end["outcome"] == "successful"


def test_sessions_that_are_kept_ready_serve_runs_and_questions_alike(case: Case) -> None:
    with Pool(warm=True) as pool:
        warm = Case(pool, case.target)
        requests = [case.request() for _ in range(3)]
        for request in requests:
            assert warm.follow(request)[-1]["outcome"] == "successful"
        assert warm.conversation.status()["runs"] == [request.run for request in requests]
