"""GetMetricData: what dashboards ask."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from cookline.cloudwatch.expression import ExpressionError, evaluate


def at(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def stat(space: str, query: str, name: str = "cpu", stat: str = "Average", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": space, "MetricName": name}
    return {"Id": query, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}


@pytest.fixture
def filled(client: Any, space: str, now: float) -> Any:
    """cpu = 0, 10, .. 90 and idle = 100 - cpu over the last ten minutes; idle lacks the newest."""
    data = [{"MetricName": "cpu", "Timestamp": at(now - 60 * ago), "Value": 10.0 * (9 - ago)} for ago in range(10)]
    data += [{"MetricName": "idle", "Timestamp": at(now - 60 * ago), "Value": 100 - 10.0 * (9 - ago)} for ago in range(1, 10)]
    client.put_metric_data(Namespace=space, MetricData=data)
    return client


def ask(client: Any, now: float, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get_metric_data(
        MetricDataQueries=list(queries), StartTime=at(now - 540), EndTime=at(now + 60), **more
    )
    return answer


def test_newest_comes_first_unless_asked_otherwise(filled: Any, space: str, now: float) -> None:
    (result,) = ask(filled, now, stat(space, "m1"))["MetricDataResults"]
    assert (result["Id"], result["Label"], result["StatusCode"]) == ("m1", "cpu", "Complete")
    assert result["Values"] == [10.0 * each for each in reversed(range(10))]
    assert result["Timestamps"][0] == at(now)
    (result,) = ask(filled, now, stat(space, "m1"), ScanBy="TimestampAscending")["MetricDataResults"]
    assert result["Values"] == [10.0 * each for each in range(10)]


def test_arithmetic_over_other_queries(filled: Any, space: str, now: float) -> None:
    results = ask(
        filled,
        now,
        stat(space, "cpu", ReturnData=False),
        stat(space, "idle", "idle", ReturnData=False),
        {"Id": "busy", "Expression": "100 * cpu / (cpu + idle)", "Label": "busy %"},
        {"Id": "twice", "Expression": "-busy ^ 2 + 0.5"},
        ScanBy="TimestampAscending",
    )["MetricDataResults"]
    assert [(result["Id"], result["Label"]) for result in results] == [("busy", "busy %"), ("twice", "twice")]
    assert results[0]["Values"] == [10.0 * each for each in range(9)]
    assert results[1]["Values"] == [0.5 - (10.0 * each) ** 2 for each in range(9)]


def test_division_by_zero_leaves_a_gap(filled: Any, space: str, now: float) -> None:
    (result,) = ask(filled, now, stat(space, "m1", ReturnData=False), {"Id": "e1", "Expression": "1 / m1"})["MetricDataResults"]
    assert len(result["Values"]) == 9


def test_percentiles(filled: Any, space: str, now: float) -> None:
    (result,) = ask(filled, now, stat(space, "m1", stat="p90"))["MetricDataResults"]
    assert result["Values"] == [10.0 * each for each in reversed(range(10))]


def test_unknown_metrics_have_no_datapoints(client: Any, space: str, now: float) -> None:
    (result,) = ask(client, now, stat(space, "m1", "nothing"))["MetricDataResults"]
    assert (result["Timestamps"], result["Values"], result["StatusCode"]) == ([], [], "Complete")


def test_pages_give_every_datapoint_once(filled: Any, space: str, now: float) -> None:
    paginator = filled.get_paginator("get_metric_data")
    pages = list(
        paginator.paginate(
            MetricDataQueries=[stat(space, "m1"), stat(space, "m2", "idle")],
            StartTime=at(now - 540),
            EndTime=at(now + 60),
            MaxDatapoints=7,
        )
    )
    assert [[(each["Id"], len(each["Values"])) for each in page["MetricDataResults"]] for page in pages] == [
        [("m1", 7)],
        [("m1", 3), ("m2", 4)],
        [("m2", 5)],
    ]
    assert pages[0]["MetricDataResults"][0]["StatusCode"] == "PartialData"
    assert pages[1]["MetricDataResults"][0]["StatusCode"] == "Complete"
    assert [
        value for page in pages for each in page["MetricDataResults"] if each["Id"] == "m1" for value in each["Values"]
    ] == [10.0 * each for each in reversed(range(10))]


@pytest.mark.parametrize(
    ("queries", "says"),
    [
        ([stat("n", "m1"), stat("n", "m1")], "not unique"),
        ([stat("n", "M1")], "pattern"),
        ([{"Id": "m1"}], "exactly one of"),
        ([stat("n", "m1", ReturnData=False)], "ReturnData"),
        ([{"Id": "e1", "Expression": "e1 + 1"}], "depends on itself"),
        ([{"Id": "e1", "Expression": "m9 + 1"}], "m9 is not the id"),
        ([{"Id": "e1", "Expression": "1 + 1"}], "at least one metric"),
        ([stat("n", "m1"), {"Id": "e1", "Expression": "m1 +"}], "ends early"),
        ([stat("n", "m1"), {"Id": "e1", "Expression": "SUM(m1)"}], "'SUM"),
        ([{"Id": "e0", "Expression": "("}, *({"Id": f"e{n}", "Expression": f"e{n - 1}"} for n in range(1, 40))], "ends early"),
        ([{"Id": "e1", "Expression": "(" * 1000}], "too deep"),
        ([{"Id": f"e{n}", "Expression": f"e{n + 1}"} for n in range(40)], "too deep"),
    ],
)
def test_queries_that_make_no_sense(client: Any, now: float, queries: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        ask(client, now, *queries)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_a_made_up_token(client: Any, space: str, now: float) -> None:
    with pytest.raises(client.exceptions.InvalidNextToken):
        ask(client, now, stat(space, "m1"), NextToken="x")


def test_precedence_is_that_of_arithmetic() -> None:
    def lookup(name: str) -> dict[int, float]:
        return {"m": {0: 2.0}}[name]

    assert evaluate("1 + m * 3 - 4 / m", lookup) == {0: 5.0}
    assert evaluate("2 ^ m ^ 3", lookup) == {0: 256.0}
    assert evaluate("-m ^ 2", lookup) == {0: -4.0}
    assert evaluate("(m)", lookup) == {0: 2.0}


@given(st.text(alphabet="m1 +-*/^().e9", max_size=40))
def test_any_text_is_a_value_or_an_expression_error(text: str) -> None:
    def lookup(name: str) -> dict[int, float]:
        if name != "m1":
            raise ExpressionError("not an id")
        return {0: 1.0, 60: -2.5}

    try:
        value = evaluate(text, lookup)
    except ExpressionError:
        return
    assert isinstance(value, (dict, float))
