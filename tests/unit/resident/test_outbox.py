import threading
import time

import pytest

from cookline.host.resident import outbox as module
from cookline.host.resident.outbox import DATUMS_AT_ONCE, Outbox, authority_file
from cookline.host.resident.settings import Settings

SETTINGS = Settings(instance_id="i-1", report={"endpoint": "https://metrics.example"})


class Sink:
    """Takes datums; `failures` are raised first, one a put."""

    def __init__(self, *failures):
        self.taken, self.failures, self.puts = [], list(failures), 0
        self.changed = threading.Event()

    def put(self, namespace, data):
        self.puts += 1
        if self.failures:
            failure = self.failures.pop(0)
            self.taken += data[: getattr(failure, "sent", 0)]
            raise failure
        self.taken += data
        self.changed.set()


class Refused(Exception):
    def __init__(self, code="", sent=0):
        super().__init__(code)
        self.code, self.sent = code, sent


@pytest.fixture
def outbox(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "OUTBOX", str(tmp_path / "outbox"))
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    said = []

    def make(sink, started=False):
        box = Outbox(SETTINGS, said.append, sink)
        box.said = said
        if started:
            box.start()
        return box

    return make


def values(*numbers):
    return [{"MetricName": "m", "Value": number} for number in numbers]


def test_values_of_cookbooks_go_to_their_own_namespace_and_all_stay_in_order(outbox):
    spaces = []

    class Spaces(Sink):
        def put(self, namespace, data):
            super().put(namespace, data)
            spaces.append((namespace, [each["Value"] for each in data]))

    sink = Spaces(Refused("InvalidParameterValue", sent=1))
    box = outbox(sink)
    own = [{**each, "Namespace": "Cookline/shop"} for each in values(3, 4)]
    box.spool.append("metric", *values(1, 2), *own, *values(5))
    assert box.send_some() == 5 and box.send_some() == 0
    assert sink.taken == values(1, 3, 4, 5), "what one namespace refuses is not lost to the other"
    assert spaces == [("Cookline/shop", [3, 4]), ("AWS/OpsWorks", [5])]


def test_datums_are_put_in_order_and_then_dropped(outbox):
    sink = Sink()
    box = outbox(sink)
    box.spool.append("metric", *values(*range(DATUMS_AT_ONCE + 5)))
    assert box.send_some() == DATUMS_AT_ONCE and box.send_some() == 5 and box.send_some() == 0
    assert [datum["Value"] for datum in sink.taken] == list(range(DATUMS_AT_ONCE + 5))
    assert list(box.spool.read()) == []


def test_what_was_not_taken_is_kept(outbox):
    box = outbox(Sink(OSError("no route")))
    box.spool.append("metric", *values(1, 2))
    with pytest.raises(OSError):
        box.send_some()
    assert len(list(box.spool.read())) == 2


def test_a_put_that_was_taken_in_part_is_not_sent_twice(outbox):
    sink = Sink(Refused("Throttling", sent=2))
    box = outbox(sink)
    box.spool.append("metric", *values(1, 2, 3))
    with pytest.raises(Refused):
        box.send_some()
    box.send_some()
    assert [datum["Value"] for datum in sink.taken] == [1, 2, 3]


def test_datums_that_are_never_taken_do_not_block_the_others(outbox):
    sink = Sink(Refused("InvalidParameterValue"))
    box = outbox(sink)
    box.spool.append("metric", *values(1))
    box.send_some()
    box.spool.append("metric", *values(2))
    box.send_some()
    assert [datum["Value"] for datum in sink.taken] == [2]
    assert "1 metrics were lost" in box.said[0]


def test_datums_older_than_cloudwatch_takes_are_dropped_and_told_of(outbox):
    sink = Sink()
    box = outbox(sink)
    box.spool.append("metric", *values(1), at=time.time() - 15 * 86400)
    box.spool.append("metric", *values(2))
    box.send_some()
    assert [datum["Value"] for datum in sink.taken] == [2] and "two weeks" in box.said[0]


def test_the_thread_tries_again_until_the_sink_is_back_and_says_so_twice(outbox):
    sink = Sink(OSError("down"), OSError("down"), OSError("down"))
    box = outbox(sink, started=True)
    box.spool.append("metric", *values(1, 2))
    box.send()
    assert sink.changed.wait(20)
    box.stop()
    box._thread.join(20)
    assert sink.puts == 4 and [datum["Value"] for datum in sink.taken] == [1, 2]
    assert ["do not reach" in text for text in box.said] == [True, False]


def test_what_the_bound_took_meanwhile_is_told(outbox):
    box = outbox(Sink())
    box.spool.max_bytes, box.spool.segment_bytes = 8000, 500
    for number in range(200):
        box.spool.append("metric", *values(number))
    while box.send_some():
        pass
    assert any("records were lost" in text for text in box.said)


def test_an_authority_may_be_a_path_or_the_text_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(module.paths, "STATE_DIRECTORY", str(tmp_path))
    assert authority_file("") is None
    assert authority_file("/etc/ca.pem") == "/etc/ca.pem"
    path = authority_file("-----BEGIN CERTIFICATE-----\nx\n")
    with open(path) as file:
        assert file.read().startswith("-----BEGIN")
