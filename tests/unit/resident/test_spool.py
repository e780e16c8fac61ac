import json
import multiprocessing
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cookline.host.resident import spool as spool_module
from cookline.host.resident.spool import Spool, collect


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "spool")


def texts(records):
    return [record["data"].get("text") for record in records]


def test_records_come_back_in_order_with_their_envelope(directory):
    spool = Spool(directory, instance_id="i-1")
    assert spool.append("log", {"text": "a"}, {"text": "b"}, at=12.5)
    first, second = spool.read()
    assert first == {
        "seq": first["seq"],
        "kind": "log",
        "at": 12.5,
        "boot": spool_module.boot_id(),
        "instance_id": "i-1",
        "data": {"text": "a"},
    }
    assert second["seq"] == first["seq"] + 1


def test_everything_is_for_root_alone(directory):
    Spool(directory).append("log", {"text": "a"})
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert {os.stat(f"{directory}/{name}").st_mode & 0o777 for name in os.listdir(directory)} == {0o600}


def test_numbers_go_on_after_a_restart_and_after_everything_was_acknowledged(directory):
    spool = Spool(directory)
    spool.append("log", {"text": "a"})
    last = spool.last()
    spool.acknowledge(last)
    assert list(spool.read()) == [] and spool.size() == 0
    Spool(directory).append("log", {"text": "b"})
    assert [record["seq"] for record in Spool(directory).read()] == [last + 1]


def test_a_wiped_spool_does_not_hide_its_records_from_a_controller_that_knew_the_old_one(tmp_path):
    old, new = Spool(str(tmp_path / "old")), Spool(str(tmp_path / "new"))
    old.append("log", *({"text": str(number)} for number in range(50)))
    known = old.last()
    new.append("log", {"text": "after the wipe"})
    assert texts(collect(known + 10**9, 10, new.directory)) == ["after the wipe"]


def test_collect_acknowledges_then_gives_what_follows(directory):
    Spool(directory).append("log", *({"text": str(number)} for number in range(10)))
    first = list(collect(None, 4, directory))
    assert texts(first) == ["0", "1", "2", "3"]
    assert texts(collect(None, 4, directory)) == ["0", "1", "2", "3"], "nothing is dropped before it is acknowledged"
    assert texts(collect(first[-1]["seq"], 100, directory)) == ["4", "5", "6", "7", "8", "9"]


def test_collect_of_a_host_without_an_agent_gives_nothing_and_makes_nothing(directory):
    assert list(collect(None, 10, directory)) == []
    assert not os.path.exists(directory)


def test_a_torn_line_is_no_record_and_its_number_is_given_again(directory):
    spool = Spool(directory)
    spool.append("log", {"text": "whole"})
    segment = next(f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".ndjson"))
    with open(segment, "ab") as file:
        file.write(b'{"seq": 99999999999999, "ki')
    assert texts(Spool(directory).read()) == ["whole"]
    Spool(directory).append("log", {"text": "next"})
    assert texts(Spool(directory).read()) == ["whole", "next"]
    numbers = [record["seq"] for record in Spool(directory).read()]
    assert numbers[1] == numbers[0] + 1


def test_zeroes_that_a_power_cut_left_are_cut_off(directory):
    Spool(directory).append("log", {"text": "whole"})
    segment = next(f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".ndjson"))
    with open(segment, "ab") as file:
        file.write(b"\0" * 300 + b"\n")
    Spool(directory).append("log", {"text": "next"})
    assert texts(Spool(directory).read()) == ["whole", "next"]


def test_what_the_bound_takes_is_counted(directory):
    spool = Spool(directory, max_bytes=16_000)
    for number in range(500):
        spool.append("log", {"text": str(number)})
    records = list(spool.read(0, 10_000))
    kept = [record for record in records if "lost" not in record["data"]]
    assert spool.size() <= 16_000
    assert texts(kept)[-1] == "499"
    assert 0 < len(kept) < 500
    assert len(kept) + sum(record["data"].get("lost", 0) for record in records) == 500, "each loss is counted once"


def test_a_full_disk_loses_records_but_says_how_many(directory, monkeypatch):
    spool = Spool(directory)
    spool.append("log", {"text": "before"})
    real_write = os.write

    def full(descriptor, content):
        if len(content) > 10:
            return real_write(descriptor, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module.os, "write", full)
    assert not spool.append("log", {"text": "x"}, {"text": "y"})
    assert spool.failure == "No space left on device"
    assert texts(spool.read()) == ["before"], "half a line is never left"
    monkeypatch.undo()
    assert spool.append("log", {"text": "after"})
    assert [record["data"].get("lost") for record in spool.read()] == [None, 2, None]


def test_a_record_too_long_for_the_wire_is_replaced_by_one_that_says_so(directory):
    spool = Spool(directory)
    spool.append("finding", {"text": "x" * 300_000})
    (record,) = spool.read()
    assert record["kind"] == "log" and "too long" in record["data"]["text"]


def append_many(directory, name):
    spool = Spool(directory)
    for number in range(100):
        spool.append("log", {"text": f"{name}{number}"})


def test_two_processes_may_append_at_once(directory):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(directory, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = list(Spool(directory).read(0, 1000))
    numbers = [record["seq"] for record in records]
    assert numbers == list(range(numbers[0], numbers[0] + 200))
    assert sorted(texts(records)) == sorted(f"{name}{number}" for name in "ab" for number in range(100))


class SpoolMachine(RuleBasedStateMachine):
    """Any order of appends, restarts, torn tails, reads and acknowledgements: in order, bounded, every loss counted."""

    @initialize(max_bytes=st.sampled_from([4_000, 20_000, 200_000]))
    def start(self, max_bytes):
        import tempfile

        self.home = tempfile.TemporaryDirectory()
        self.max_bytes = max_bytes
        self.spool = Spool(self.home.name + "/spool", max_bytes)
        self.spool.append("log", {"number": 0})
        self.appended, self.collected, self.acknowledged = 1, [], None

    def teardown(self):
        if hasattr(self, "home"):
            with self.home:
                self.drain()

    @rule(count=st.integers(1, 30))
    def append(self, count):
        numbers = range(self.appended, self.appended + count)
        assert self.spool.append("log", *({"number": number} for number in numbers))
        self.appended += count

    @rule()
    def restart(self):
        self.spool = Spool(self.spool.directory, self.max_bytes)

    @rule(torn=st.binary(min_size=1, max_size=40).filter(lambda torn: b"\n" not in torn))
    def tear(self, torn):
        _, segment = self.spool._segments()[-1]
        with open(segment, "ab") as file:
            file.write(torn)
        self.spool = Spool(self.spool.directory, self.max_bytes)

    @rule(limit=st.integers(1, 50))
    def collect(self, limit):
        self.collect_some(limit)

    def collect_all(self):
        return self.collect_some(1000)

    def collect_some(self, limit):
        records = list(collect(self.acknowledged, limit, self.spool.directory))
        for record in records:
            if self.collected:
                assert record["seq"] > self.collected[-1]["seq"]
            self.collected.append(record)
        if records:
            self.acknowledged = records[-1]["seq"]
        return len(records)

    def drain(self):
        while self.collect_all():
            pass
        told = [record["data"]["number"] for record in self.collected if "number" in record["data"]]
        assert told == sorted(set(told)), "in order, none twice"
        assert told[-1] == self.appended - 1
        # What was given but not yet acknowledged when the bound took it counts as lost too: never too few.
        assert self.appended - len(told) <= sum(record["data"].get("lost", 0) for record in self.collected)

    @invariant()
    def bounded(self):
        if hasattr(self, "spool"):
            assert self.spool.size() <= self.max_bytes


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_segments_are_json_lines_that_a_person_can_read(directory):
    Spool(directory).append("heartbeat", {"pid": 1})
    segment = next(name for name in os.listdir(directory) if name.endswith(".ndjson"))
    with open(f"{directory}/{segment}") as file:
        assert [json.loads(line)["kind"] for line in file] == ["heartbeat"]
