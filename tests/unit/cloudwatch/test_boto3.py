"""What a boto3 user sees: put, list and read back, over every protocol that boto3 can speak."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

MINUTE = datetime.timedelta(minutes=1)
DIMENSIONS = [{"Name": "InstanceId", "Value": "i-1"}]


def at(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def read(client: Any, space: str, now: float, **asked: Any) -> list[dict[str, Any]]:
    question = {"StartTime": at(now), "EndTime": at(now) + MINUTE, "Period": 60, "Dimensions": DIMENSIONS, **asked}
    datapoints: list[dict[str, Any]] = client.get_metric_statistics(Namespace=space, MetricName="cpu", **question)["Datapoints"]
    return datapoints


def put(client: Any, space: str, now: float, **datum: Any) -> None:
    client.put_metric_data(
        Namespace=space, MetricData=[{"MetricName": "cpu", "Dimensions": DIMENSIONS, "Timestamp": at(now), **datum}]
    )


def test_value_reads_back(client: Any, space: str, now: float) -> None:
    put(client, space, now, Value=12.5, Unit="Percent")
    point = {"Timestamp": at(now), "Average": 12.5, "SampleCount": 1.0, "Unit": "Percent"}
    assert read(client, space, now, Statistics=["Average", "SampleCount"]) == [point]


def test_all_statistics_of_several_puts(client: Any, space: str, now: float) -> None:
    put(client, space, now, Value=1.0)
    put(client, space, now + 30, StatisticValues={"SampleCount": 3, "Sum": 11, "Minimum": 2, "Maximum": 5})
    (point,) = read(client, space, now, Statistics=["Average", "SampleCount", "Sum", "Minimum", "Maximum"])
    assert (point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"]) == (4.0, 12.0, 1.0, 5.0)
    assert point["Average"] == 3.0


def test_percentiles_of_values_and_counts(client: Any, space: str, now: float) -> None:
    put(client, space, now, Values=[float(each) for each in range(1, 101)])
    put(client, space, now, Values=[1000.0], Counts=[100.0])
    (point,) = read(client, space, now, ExtendedStatistics=["p25", "p50", "p99.9"])
    assert point["ExtendedStatistics"] == {"p25": 50.0, "p50": 100.0, "p99.9": 1000.0}


def test_percentiles_are_unknown_behind_a_statistic_set(client: Any, space: str, now: float) -> None:
    put(client, space, now, StatisticValues={"SampleCount": 3, "Sum": 11, "Minimum": 2, "Maximum": 5})
    assert read(client, space, now, ExtendedStatistics=["p50"]) == []


def test_dimensions_must_match_exactly_to_read(client: Any, space: str, now: float) -> None:
    put(client, space, now, Value=1.0)
    other = [{"Name": "InstanceId", "Value": "i-10"}]
    assert read(client, space, now, Statistics=["Sum"], Dimensions=[]) == []
    assert read(client, space, now, Statistics=["Sum"], Dimensions=other) == []


def test_units_are_told_apart(client: Any, space: str, now: float) -> None:
    put(client, space, now, Value=1.0, Unit="Seconds")
    put(client, space, now, Value=1000.0, Unit="Milliseconds")
    assert {point["Unit"]: point["Sum"] for point in read(client, space, now, Statistics=["Sum"])} == {
        "Seconds": 1.0,
        "Milliseconds": 1000.0,
    }
    assert [point["Sum"] for point in read(client, space, now, Statistics=["Sum"], Unit="Seconds")] == [1.0]


def test_high_resolution_is_kept_by_the_second(client: Any, space: str, now: float) -> None:
    for second in range(20):
        put(client, space, now + second, Value=float(second), StorageResolution=1)
    points = read(client, space, now + 3, Statistics=["Sum"], Period=10, EndTime=at(now) + MINUTE)
    assert [(point["Timestamp"], point["Sum"]) for point in points] == [(at(now), 45.0), (at(now + 10), 145.0)]


def test_start_is_rounded_down_to_the_minute(client: Any, space: str, now: float) -> None:
    put(client, space, now + 5, Value=1.0)
    points = read(client, space, now, StartTime=at(now + 50), EndTime=at(now + 60), Statistics=["Sum"])
    assert [point["Timestamp"] for point in points] == [at(now)]


def test_list_metrics_by_subset_of_dimensions(client: Any, space: str, now: float) -> None:
    both = [{"Name": "InstanceId", "Value": "i-1"}, {"Name": "Volume", "Value": "a=b"}]
    put(client, space, now, Value=1.0)
    put(client, space, now, Value=1.0, Dimensions=list(reversed(both)))

    def found(**filters: Any) -> list[Any]:
        return [metric["Dimensions"] for metric in client.list_metrics(Namespace=space, **filters)["Metrics"]]

    assert found(Dimensions=[{"Name": "InstanceId"}]) == [DIMENSIONS, both]
    assert found(Dimensions=[{"Name": "Volume", "Value": "a=b"}]) == [both]
    assert found(Dimensions=[{"Name": "InstanceId", "Value": "i-10"}]) == []
    assert found(MetricName="memory") == []


def test_list_metrics_pages(client: Any, space: str, now: float) -> None:
    for first in (0, 1000):
        data = [{"MetricName": f"m{index}", "Value": 1.0} for index in range(first, first + 1000)]
        client.put_metric_data(Namespace=space, MetricData=data[: 1000 if first == 0 else 10])
    pages = list(client.get_paginator("list_metrics").paginate(Namespace=space))
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 10]
    assert {metric["MetricName"] for page in pages for metric in page["Metrics"]} == {f"m{index}" for index in range(1010)}


def test_entities_are_taken_for_their_metrics(client: Any, space: str, now: float) -> None:
    datum = {"MetricName": "cpu", "Dimensions": DIMENSIONS, "Timestamp": at(now), "Value": 4.0}
    entity = {"KeyAttributes": {"Type": "Service", "Name": "shop"}}
    client.put_metric_data(
        Namespace=space, EntityMetricData=[{"Entity": entity, "MetricData": [datum]}], StrictEntityValidation=False
    )
    assert [point["Sum"] for point in read(client, space, now, Statistics=["Sum"])] == [4.0]


@pytest.mark.parametrize("count", [150])
def test_long_bodies_come_compressed(client: Any, space: str, now: float, count: int) -> None:
    sent: list[Any] = []
    client.meta.events.register("before-send", lambda request, **_: sent.append(request.headers.get("Content-Encoding")))
    data = [{"MetricName": f"a-rather-long-name-{index}", "Dimensions": DIMENSIONS, "Value": 1.0} for index in range(count)]
    client.put_metric_data(Namespace=space, MetricData=data)
    assert sent == [b"gzip"] or sent == ["gzip"]
    assert len(client.list_metrics(Namespace=space)["Metrics"]) == count
