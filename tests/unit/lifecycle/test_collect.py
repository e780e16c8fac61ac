"""What agents have gathered arrives once, in order, and only for the host that sent it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from kitchen import Kitchen

from cookline.control.lifecycle.collect import Collected, collect
from cookline.control.store.instances import Instance
from cookline.errors import CooklineError

FIRST = 1_790_000_000_000  # spools begin at the epoch's milliseconds


class Sink:
    def __init__(self) -> None:
        self.values: list[float] = []
        self.refuses = False
        self.namespaces: list[str] = []

    def __call__(self, namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
        self.namespaces.append(namespace)
        if self.refuses:
            raise CooklineError("the sink is away")
        self.values += [datum["Value"] for datum in data]


@pytest.fixture
def app1(kitchen: Kitchen) -> Instance:
    kitchen.do("setup")
    return next(each for each in kitchen.store.instances.of(kitchen.pushed.stack_id) if each.name == "app1")


def metric(app1: Instance, number: int, **changes: Any) -> dict[str, Any]:
    dimensions = {"StackId": app1.stack_id, "LayerId": f"{app1.stack_id}-app", "InstanceId": app1.id, **changes}
    data = {"MetricName": "cpu_idle", "Value": float(number), "Timestamp": time.time(), "Unit": "Percent"}
    return record(app1, number, "metric", {**data, "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()]})


def record(app1: Instance, number: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"seq": FIRST + number, "kind": kind, "at": time.time(), "boot": "b", "instance_id": app1.id, "data": data}


def fetch(kitchen: Kitchen, app1: Instance, sink: Sink) -> Collected:
    return collect(kitchen.dispatcher, app1, sink, "AWS/OpsWorks")


def test_metrics_reach_the_sink_once_and_in_order(kitchen: Kitchen, app1: Instance) -> None:
    sink = Sink()
    host = kitchen.hosts.host("app1")
    host.records = [metric(app1, number) for number in range(2500)]
    assert fetch(kitchen, app1, sink).metrics == 2500
    host.records += [metric(app1, 2500)]
    assert fetch(kitchen, app1, sink).metrics == 1
    assert sink.values == [float(number) for number in range(2501)]


def test_a_sink_that_is_away_gets_the_same_records_again(kitchen: Kitchen, app1: Instance) -> None:
    sink = Sink()
    kitchen.hosts.host("app1").records = [metric(app1, number) for number in range(3)]
    sink.refuses = True
    assert fetch(kitchen, app1, sink).error == "the sink is away"
    sink.refuses = False
    fetch(kitchen, app1, sink)
    assert sink.values == [0.0, 1.0, 2.0]


def test_a_heartbeat_counts_from_when_the_agent_wrote_it(kitchen: Kitchen, app1: Instance) -> None:
    assert app1.heartbeat_of == "contact"
    kitchen.hosts.host("app1").records = [record(app1, 0, "heartbeat", {})]
    assert fetch(kitchen, app1, Sink()).heartbeats == 1
    seen = kitchen.store.instances.get(app1.id)
    assert seen.heartbeat_of == "agent" and (seen.heartbeat_age() or 0.0) < 60


def test_findings_are_kept_and_cleared(kitchen: Kitchen, app1: Instance) -> None:
    host = kitchen.hosts.host("app1")
    finding = {"resource": "File[/etc/motd]", "differences": {"mode": ["0644", "0600"]}, "detected_by": "watch"}
    host.records = [record(app1, 0, "finding", finding)]
    fetch(kitchen, app1, Sink())
    [kept] = kitchen.store.findings.of(app1.stack_id)
    assert (kept.instance, kept.resource, kept.detected_by) == ("app1", "File[/etc/motd]", "watch")
    host.records.append(record(app1, 1, "finding", {**finding, "cleared": True}))
    fetch(kitchen, app1, Sink())
    assert kitchen.store.findings.of(app1.stack_id) == []


@pytest.mark.parametrize(
    "changes",
    [{"InstanceId": "01M8OTHER"}, {"StackId": "another"}, {"LayerId": "another-app"}],
    ids=["instance", "stack", "layer"],
)
def test_a_host_cannot_speak_for_another(kitchen: Kitchen, app1: Instance, changes: dict[str, Any]) -> None:
    sink = Sink()
    kitchen.hosts.host("app1").records = [metric(app1, 0, **changes), metric(app1, 1)]
    assert fetch(kitchen, app1, sink).refused == 1
    assert sink.values == [1.0], "an honest record beside it is taken"
    [warning] = kitchen.store.spools.warnings()
    assert "app1" in warning.text


def test_values_of_cookbooks_have_the_namespace_of_their_stack_and_no_other(kitchen: Kitchen, app1: Instance) -> None:
    sink = Sink()
    records = [metric(app1, number) for number in range(3)]
    records[1]["data"]["Namespace"] = "Cookline/shop"
    records[2]["data"]["Namespace"] = "AWS/Billing"
    kitchen.hosts.host("app1").records = records
    collected = fetch(kitchen, app1, sink)
    assert (collected.metrics, collected.refused) == (2, 1)
    assert (sink.namespaces, sink.values) == (["AWS/OpsWorks", "Cookline/shop"], [0.0, 1.0])


def test_a_record_of_another_instance_is_refused(kitchen: Kitchen, app1: Instance) -> None:
    kitchen.hosts.host("app1").records = [{**record(app1, 0, "heartbeat", {}), "instance_id": "01M8OTHER"}]
    assert fetch(kitchen, app1, Sink()).refused == 1
    assert kitchen.store.instances.get(app1.id).heartbeat is None


@pytest.mark.parametrize("broken", [{"data": []}, {"kind": 7}, {"seq": "many"}, {"seq": 2**70}, {"seq": -1}])
def test_a_broken_record_harms_nothing(kitchen: Kitchen, app1: Instance, broken: dict[str, Any]) -> None:
    class Conversation:
        def collect(self, acknowledge: int, limit: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            return {"kind": "answer"}, [{**metric(app1, 0), **broken}]

    kitchen.dispatcher.conversation = lambda instance: Conversation()  # type: ignore[method-assign,assignment,return-value]
    assert fetch(kitchen, app1, Sink()).error is None


def test_a_spool_that_begins_anew_is_taken_from_its_beginning(kitchen: Kitchen, app1: Instance) -> None:
    sink = Sink()
    kitchen.store.spools.acknowledge(app1.id, 2**62)
    asked: list[int] = []

    class Conversation:
        def collect(self, acknowledge: int, limit: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            asked.append(acknowledge)
            return {"kind": "answer"}, [metric(app1, 5)] if acknowledge > FIRST + 5 else []

    kitchen.dispatcher.conversation = lambda instance: Conversation()  # type: ignore[method-assign,assignment,return-value]
    fetch(kitchen, app1, sink)
    fetch(kitchen, app1, sink)
    assert (sink.values, asked) == ([5.0], [2**62, FIRST + 5])


def test_a_host_that_does_not_answer_is_an_error_in_the_result(kitchen: Kitchen, app1: Instance) -> None:
    kitchen.dispatcher.pool().close()
    kitchen.hosts.host("app1").away = True
    assert "does not answer" in str(fetch(kitchen, app1, Sink()).error)
