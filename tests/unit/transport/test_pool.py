"""Many hosts at once, never more than allowed, and a dummy that carries thousands of runs."""

from __future__ import annotations

import threading

import pytest

from cookline.control.transport import ready
from cookline.control.transport.base import Connection, Target
from cookline.control.transport.bundle import Bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.dummy import DummyTransport
from cookline.control.transport.pool import Pool
from cookline.control.transport.trees import TreeSet
from cookline.errors import Unreachable, UsageError
from tests.unit.transport.conftest import NO_BUNDLE, request


def target(number: int, **fields: object) -> Target:
    return Target(f"web{number}", f"192.0.2.{number}", transport="dummy", **fields)  # type: ignore[arg-type]


class CountingTransport(DummyTransport):
    """Counts how many connect at once; each waits until `together` do, or a moment has passed."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.most = self.now = 0
        self.gate = threading.Barrier(together)
        self.guard = threading.Lock()

    def connect(self, target: Target) -> Connection:
        with self.guard:
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.wait(10)
        with self.guard:
            self.now -= 1
        return super().connect(target)


def test_no_more_logins_go_on_at_once_than_allowed() -> None:
    transport = CountingTransport(together=4)
    with Pool({"dummy": transport}, width=4) as pool:
        threads = [threading.Thread(target=pool.connection, args=(target(number),)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert transport.most == 4


def test_work_is_done_on_all_in_order_and_the_first_error_is_told() -> None:
    transport = DummyTransport()
    transport.host("web3").unreachable = "is away"
    with Pool({"dummy": transport}, width=3) as pool:
        assert pool.each(lambda number: number * 2, range(10)) == list(range(0, 20, 2))
        with pytest.raises(Unreachable, match="web3"):
            pool.each(lambda number: pool.connection(target(number)), range(6))


def test_a_dead_connection_is_replaced() -> None:
    transport = DummyTransport()
    with Pool({"dummy": transport}) as pool:
        first = pool.connection(target(1))
        transport.host("web1").away = True
        transport.host("web1").away = False
        assert pool.connection(target(1)) is first
        first.close()
        assert pool.connection(target(1)).alive()
    assert transport.host("web1").connections == 2


def test_targets_that_differ_have_connections_of_their_own() -> None:
    with Pool({"dummy": DummyTransport()}) as pool:
        assert pool.connection(target(1)) is not pool.connection(target(1, user="ops"))


def test_everything_is_closed_at_the_end() -> None:
    with Pool({"dummy": DummyTransport()}) as pool:
        connection = pool.connection(target(1))
    assert not connection.alive()


def test_an_unknown_transport_names_those_that_there_are() -> None:
    with Pool() as pool, pytest.raises(UsageError, match="no transport 'telnet'") as caught:
        pool.connection(Target("web1", "192.0.2.1", transport="telnet"))
    assert caught.value.hint == "known are: dummy, local, ssh"


def test_a_thousand_runs_on_a_hundred_dummies() -> None:
    transport = DummyTransport()
    with Pool({"dummy": transport}, width=8) as pool:

        def work(number: int) -> str:
            conversation = Conversation(pool, target(number % 100), NO_BUNDLE)
            return str(conversation.run(request(run=f"{number:026}"), TreeSet(), lambda event: None)["outcome"])

        assert pool.each(work, range(1000)) == ["successful"] * 1000
    assert sum(len(host.requests) for host in transport.hosts.values()) == 1000


# -- sessions kept ready -----------------------------------------------------------------------------------------------


def settle(pool: Pool) -> None:
    """Until what was begun in the background is ready."""
    assert pool._ready is not None
    while pool._ready._starting:
        threading.Event().wait(0.005)


def test_the_next_operation_finds_its_session_ready() -> None:
    transport = DummyTransport()
    with Pool({"dummy": transport}, warm=True) as pool:
        conversation = Conversation(pool, target(1), NO_BUNDLE)
        conversation.status()
        settle(pool)
        assert pool._ready is not None
        [ready] = pool._ready._ready.values()
        assert pool.session(target(1), NO_BUNDLE) is ready.session
        assert conversation.run(request(), TreeSet(), lambda event: None)["outcome"] == "successful"
        settle(pool)
        assert conversation.status()["runs"] == [request().run]
    assert not ready.session.channel.is_open() or transport.host("web1").connections == 1


def test_a_session_that_died_while_it_waited_is_not_used() -> None:
    transport = DummyTransport()
    with Pool({"dummy": transport}, warm=True) as pool:
        conversation = Conversation(pool, target(1), NO_BUNDLE)
        conversation.status()
        settle(pool)
        assert pool._ready is not None
        [ready] = pool._ready._ready.values()
        ready.session.channel.close()
        assert conversation.status()["kind"] == "answer"


def test_a_session_of_another_bundle_or_one_that_is_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pool({"dummy": DummyTransport()}, warm=True) as pool:
        pool.prepare(target(1), NO_BUNDLE)
        settle(pool)
        other = Bundle({"x86_64": [["changed", "0644", "1" * 64]]}, {})
        assert pool._ready is not None
        assert pool._ready.take(target(1), other) is None
        pool.prepare(target(1), NO_BUNDLE)
        settle(pool)
        monkeypatch.setattr(ready, "OLD_AFTER_SECONDS", 0.0)
        assert pool._ready.take(target(1), NO_BUNDLE) is None


def test_a_host_that_is_away_is_told_by_the_next_operation() -> None:
    transport = DummyTransport()
    with Pool({"dummy": transport}, warm=True) as pool:
        transport.host("web1").unreachable = "is away"
        pool.prepare(target(1), NO_BUNDLE)
        settle(pool)
        with pytest.raises(Unreachable, match="is away"):
            Conversation(pool, target(1), NO_BUNDLE).status()
