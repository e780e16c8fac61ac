"""Gates on alarms, against moto's CloudWatch: a rollout goes on while the alarm is OK, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from kitchen import Kitchen, KitchenMaker, outcomes

from cookline.control.stack.revision import freeze

# moto tells accounts apart by the access key
KEYS = {"aws_access_key_id": "210987654321", "aws_secret_access_key": "alarm-gates"}
APPS = ("app1", "app2", "app3")


@pytest.fixture
def alarms(aws: str) -> Iterator[Any]:
    """A CloudWatch client; its alarms go with the test."""
    client = boto3.client("cloudwatch", endpoint_url=aws, region_name="eu-central-1", **KEYS)
    yield client
    names = [each["AlarmName"] for each in client.describe_alarms()["MetricAlarms"]]
    if names:
        client.delete_alarms(AlarmNames=names)


def alarm(client: Any, name: str, state: str) -> None:
    compared = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1, "EvaluationPeriods": 1, "Period": 60}
    client.put_metric_alarm(AlarmName=name, Namespace="shop", MetricName="errors", Statistic="Sum", **compared)
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason=f"the test says {state}")


@pytest.fixture
def fleet(make_kitchen: KitchenMaker, aws: str) -> Kitchen:
    """Three hosts of a stack that sends its metrics to moto's CloudWatch."""
    kitchen = make_kitchen(dict.fromkeys(APPS, "app"))
    file = kitchen.directory / "shop.yml"
    keys = "access_key: '210987654321', secret_key: alarm-gates"
    file.write_text(file.read_text() + f"metrics: {{endpoint: '{aws}', region: eu-central-1, {keys}}}\n")
    kitchen.store.push(freeze(file), author="ann")
    kitchen.do("setup")
    kitchen.executed()
    return kitchen


def deploy(fleet: Kitchen, *gates: str, **more: Any) -> Any:
    return fleet.do("deploy", apps=("shop",), rollout={"batch": ["1"], "gates": gates, "gate_within": 0.2, **more})


def test_an_alarm_that_is_ok_lets_the_rollout_go_on(fleet: Kitchen, alarms: Any) -> None:
    alarm(alarms, "shop-errors", "OK")
    assert deploy(fleet, "alarm:shop-errors").exit_code == 0
    assert [name for name, _event in fleet.executed()] == list(APPS)


@pytest.mark.parametrize("state", ["ALARM", "INSUFFICIENT_DATA"])
def test_any_other_state_stops_it_and_is_named_with_its_reason(fleet: Kitchen, alarms: Any, state: str) -> None:
    alarm(alarms, "shop-errors", state)
    report = deploy(fleet, "alarm:shop-errors", auto_rollback=True)
    assert report.exit_code == 1
    reason = f"the gate was not passed: alarm shop-errors is {state}: the test says {state}"
    assert report.rollout["reason"] == reason
    assert outcomes(report) == {"app1": "failed", "app2": "skipped", "app3": "skipped"}


def test_each_instance_may_have_an_alarm_of_its_own(fleet: Kitchen, alarms: Any) -> None:
    for name, state in zip(APPS, ("OK", "ALARM", "OK"), strict=True):
        alarm(alarms, f"errors-{name}", state)
    report = deploy(fleet, "alarm:errors-{name}")
    assert outcomes(report) == {"app1": "successful", "app2": "failed", "app3": "skipped"}


def test_an_alarm_that_is_not_there_passes_nothing(fleet: Kitchen, alarms: Any, aws: str) -> None:
    assert (
        deploy(fleet, "alarm:shop-erors").rollout["reason"] == f"the gate was not passed: there is no alarm shop-erors at {aws}"
    )


def test_a_stack_without_an_endpoint_has_the_alarms_of_the_servers_sink(kitchen: Kitchen) -> None:
    kitchen.do("setup")
    assert "no sink keeps this stack's metrics" in deploy(kitchen, "alarm:shop-errors").rollout["reason"]


def test_gates_wait_until_a_batch_has_served(fleet: Kitchen, alarms: Any, tmp_path: Path) -> None:
    alarm(alarms, "shop-errors", "OK")
    waited: list[str] = []

    def go_bad(instance: str, event: dict[str, Any]) -> None:
        if event["kind"] == "progress" and "before its gates" in event["text"]:
            waited.append(instance)
            alarm(alarms, "shop-errors", "ALARM")

    fleet.dispatcher.progress.subscribe(go_bad)
    report = deploy(fleet, "alarm:shop-errors", gate_after=0.1)
    assert waited == ["app1"]
    assert outcomes(report) == {"app1": "successful", "app2": "skipped", "app3": "skipped"}
    assert report.rollout["ended"] == "stopped"
