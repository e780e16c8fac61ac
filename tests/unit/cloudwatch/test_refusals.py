"""What is refused: the code and status that AWS answers, in the protocol that the client spoke."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.cloudwatch.conftest import Endpoint
from tests.unit.cloudwatch.wire import PROTOCOLS, Answer, ask, dressed, encoded, send, signed


def list_metrics(sink: Endpoint, protocol: str, **more: Any) -> Answer:
    return ask(sink.url, protocol, "ListMetrics", encoded(protocol, "ListMetrics", {}), **more)


def told(answer: Answer) -> tuple[int, str]:
    assert answer.headers["date"] and answer.headers["x-amzn-requestid"]
    assert b"<html" not in answer.body.lower()
    return answer.status, answer.code


# (case, what to change, query's answer, JSON's and CBOR's answer)
SIGNATURES = [
    ("unknown key", {"key": "AKNOBODY"}, (403, "InvalidClientTokenId"), (400, "UnrecognizedClientException")),
    ("wrong secret", {"secret": "x"}, (403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException")),
    ("expired", {"skew": -16 * 60}, (403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException")),
    ("from the future", {"skew": 16 * 60}, (403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException")),
    ("within 15 minutes", {"skew": -14 * 60}, (200, ""), (200, "")),
    ("may only put", {"key": "AKAGENT", "secret": "agent-secret"}, (403, "AccessDenied"), (400, "AccessDeniedException")),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("change", "query", "modern"), [case[1:] for case in SIGNATURES], ids=[case[0] for case in SIGNATURES])
def test_signatures(
    sink: Endpoint, protocol: str, change: dict[str, Any], query: tuple[int, str], modern: tuple[int, str]
) -> None:
    answer = list_metrics(sink, protocol, **change)
    expected = query if protocol == "query" else modern
    assert (answer.status, "") == expected if expected[0] == 200 else told(answer) == expected


@pytest.mark.parametrize(("change", "query", "modern"), [case[1:] for case in SIGNATURES], ids=[case[0] for case in SIGNATURES])
def test_query_mode_gives_the_old_codes(
    sink: Endpoint, change: dict[str, Any], query: tuple[int, str], modern: tuple[int, str]
) -> None:
    answer = list_metrics(sink, "json", headers={"x-amzn-query-mode": "true"}, **change)
    assert (answer.status, answer.headers.get("x-amzn-query-error", ";").partition(";")[0]) == query


AUTHORIZATIONS = [
    ("none", None, (403, "MissingAuthenticationToken"), (403, "MissingAuthenticationTokenException")),
    ("other scheme", "Basic YTpi", (400, "IncompleteSignature"), (400, "IncompleteSignatureException")),
    ("no fields", "AWS4-HMAC-SHA256 x", (400, "IncompleteSignature"), (400, "IncompleteSignatureException")),
    (
        "short scope",
        "AWS4-HMAC-SHA256 Credential=AK/20260101, SignedHeaders=host, Signature=00",
        (400, "IncompleteSignature"),
        (400, "IncompleteSignatureException"),
    ),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("given", "query", "modern"), [case[1:] for case in AUTHORIZATIONS], ids=[case[0] for case in AUTHORIZATIONS]
)
def test_authorization_headers(
    sink: Endpoint, protocol: str, given: str | None, query: tuple[int, str], modern: tuple[int, str]
) -> None:
    path, headers = dressed(protocol, "ListMetrics")
    body = encoded(protocol, "ListMetrics", {})
    headers = signed(sink.url, path, headers, body)
    del headers["authorization"]
    answer = send(sink.url, path, headers | ({"authorization": given} if given else {}), body)
    assert told(answer) == (query if protocol == "query" else modern)


def test_a_changed_body_target_or_signature_is_noticed(sink: Endpoint) -> None:
    path, headers = dressed("json", "ListMetrics")
    good = signed(sink.url, path, headers, b"{}")
    target = {**good, "x-amz-target": good["x-amz-target"].replace("ListMetrics", "PutMetricData")}
    unsigned = {**good, "x-amz-extra": "1"}
    for headers, body in (
        (good, b"{ }"),
        (target, b"{}"),
        (unsigned, b"{}"),
        ({**good, "x-amz-date": "20260101T000000Z"}, b"{}"),
    ):
        assert told(send(sink.url, path, headers, body)) == (400, "InvalidSignatureException")
    assert send(sink.url, path, good, b"{}").status == 200


BODIES = [
    ("not the format", "PutMetricData", b"\xff\xfe{", (400, "MalformedInput"), (400, "SerializationException")),
    ("nested deep", "PutMetricData", b"[" * 100_000, (400, "MalformedInput"), (400, "SerializationException")),
    (
        "too large",
        "PutMetricData",
        b"x" * (1024 * 1024 + 1),
        (413, "RequestEntityTooLarge"),
        (413, "RequestEntityTooLargeException"),
    ),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("operation", "body", "query", "modern"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_bodies(
    sink: Endpoint, protocol: str, operation: str, body: bytes, query: tuple[int, str], modern: tuple[int, str]
) -> None:
    assert told(ask(sink.url, protocol, operation, body)) == (query if protocol == "query" else modern)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_compressed_bodies(sink: Endpoint, protocol: str) -> None:
    body = encoded(protocol, "ListMetrics", {})

    def answer(content: bytes, encoding: str = "gzip") -> Answer:
        return ask(sink.url, protocol, "ListMetrics", content, headers={"content-encoding": encoding})

    assert answer(gzip.compress(body)).status == 200
    for broken in (body, gzip.compress(body)[:-9], gzip.compress(body) + b"tail"):
        assert told(answer(broken))[0] == 400
    assert told(answer(body, "br"))[0] == 400
    bomb = gzip.compress(b" " * (11 * 1024 * 1024))
    assert len(bomb) < 20_000 and told(answer(bomb))[0] == 413


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unknown_operations(sink: Endpoint, protocol: str) -> None:
    unknown = ask(sink.url, protocol, "MakeCoffee", encoded(protocol, "MakeCoffee", {}))
    assert told(unknown) == ((400, "InvalidAction") if protocol == "query" else (404, "UnknownOperationException"))
    assert b"Could not find operation MakeCoffee for version 2010-08-01" in unknown.body


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/nothing/here"), ("DELETE", "/x")])
def test_strangers_get_an_answer_that_is_not_html(sink: Endpoint, method: str, path: str) -> None:
    assert told(send(sink.url, path, {}, b"", method)) == (403, "MissingAuthenticationToken")


def test_a_form_without_an_action(sink: Endpoint) -> None:
    assert told(ask(sink.url, "query", "", b"Version=2010-08-01")) == (400, "MissingAction")


# What boto3 users can get wrong: (case, datum, query's code)
DATUMS = [
    ("no value", {}, "MissingParameter"),
    ("two values", {"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
    (
        "value and set",
        {"Value": 1.0, "StatisticValues": {"SampleCount": 1.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
        "InvalidParameterCombination",
    ),
    ("sizes differ", {"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
    ("counts alone", {"Value": 1.0, "Counts": [1.0]}, "MissingParameter"),
    ("negative count", {"Values": [1.0], "Counts": [-1.0]}, "InvalidParameterValue"),
    ("151 values", {"Values": [1.0] * 151}, "InvalidParameterValue"),
    ("not a number", {"Value": float("nan")}, "InvalidParameterValue"),
    ("infinite", {"Value": float("-inf")}, "InvalidParameterValue"),
    ("beyond 2 to the 360", {"Value": 2.0**361}, "InvalidParameterValue"),
    (
        "empty set",
        {"StatisticValues": {"SampleCount": 0.0, "Sum": 0.0, "Minimum": 0.0, "Maximum": 0.0}},
        "InvalidParameterValue",
    ),
    (
        "minimum above maximum",
        {"StatisticValues": {"SampleCount": 2.0, "Sum": 3.0, "Minimum": 2.0, "Maximum": 1.0}},
        "InvalidParameterValue",
    ),
    ("too old", {"Value": 1.0, "Timestamp": time.time() - 15 * 86400}, "InvalidParameterValue"),
    ("too new", {"Value": 1.0, "Timestamp": time.time() + 3 * 3600}, "InvalidParameterValue"),
    ("unit", {"Value": 1.0, "Unit": "Spoons"}, "ValidationError"),
    ("resolution", {"Value": 1.0, "StorageResolution": 7}, "InvalidParameterValue"),
    ("31 dimensions", {"Value": 1.0, "Dimensions": [{"Name": f"n{n}", "Value": "v"} for n in range(31)]}, "ValidationError"),
    ("dimension twice", {"Value": 1.0, "Dimensions": [{"Name": "n", "Value": v} for v in "ab"]}, "InvalidParameterValue"),
    ("control character", {"Value": 1.0, "MetricName": "a\u0007b"}, "InvalidParameterValue"),
    ("long name", {"Value": 1.0, "MetricName": "n" * 256}, "ValidationError"),
]


@pytest.mark.parametrize(("datum", "code"), [case[1:] for case in DATUMS], ids=[case[0] for case in DATUMS])
def test_datums_that_are_refused(client: Any, space: str, datum: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.put_metric_data(Namespace=space, MetricData=[{"MetricName": "good", "Value": 1.0}, {"MetricName": "m", **datum}])
    assert caught.value.response["Error"]["Code"] == code
    assert "MetricData.member.2" in str(caught.value)
    assert client.list_metrics(Namespace=space)["Metrics"] == []


def test_the_words_are_those_of_aws(client: Any, space: str) -> None:
    with pytest.raises(client.exceptions.InvalidParameterCombinationException) as caught:
        client.put_metric_data(Namespace=space, MetricData=[{"MetricName": "m", "Value": 1.0, "Values": [1.0]}])
    assert caught.value.response["Error"]["Message"] == (
        "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive "
        "and you have specified both."
    )


def test_more_than_a_thousand_datums(client: Any, space: str) -> None:
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="1000"):
        client.put_metric_data(Namespace=space, MetricData=[{"MetricName": "m", "Value": 1.0}] * 1001)


READS = [
    ("start after end", {"StartTime": 7200, "EndTime": 3600}, "InvalidParameterValue", "must be less than"),
    ("start is end", {"StartTime": 3600, "EndTime": 3600}, "InvalidParameterValue", "must be less than"),
    ("odd period", {"Period": 61}, "InvalidParameterValue", "multiple of 60"),
    ("7 seconds", {"Period": 7}, "InvalidParameterValue", "multiple of 60"),
    ("1441 datapoints", {"StartTime": 0, "EndTime": 1441 * 60}, "InvalidParameterCombination", "up to 1,441 datapoints"),
    ("no statistics", {"Statistics": None}, "MissingParameter", "Statistics or ExtendedStatistics"),
    ("unknown statistic", {"Statistics": ["Median"]}, "ValidationError", "Member must satisfy enum value set"),
    ("odd percentile", {"Statistics": None, "ExtendedStatistics": ["q50"]}, "InvalidParameterValue", "q50"),
]


@pytest.mark.parametrize(("change", "code", "says"), [case[1:] for case in READS], ids=[case[0] for case in READS])
def test_reads_that_are_refused(client: Any, space: str, change: dict[str, Any], code: str, says: str) -> None:
    asked = {"StartTime": 0, "EndTime": 3600, "Period": 60, "Statistics": ["Sum"], **change}
    asked = {name: value for name, value in asked.items() if value is not None}
    with pytest.raises(ClientError, match=says) as caught:
        client.get_metric_statistics(Namespace=space, MetricName="m", **asked)
    assert caught.value.response["Error"]["Code"] == code


def test_1440_datapoints_are_allowed(client: Any, space: str) -> None:
    asked = {"StartTime": 0, "EndTime": 1440 * 60, "Period": 60, "Statistics": ["Sum"]}
    assert client.get_metric_statistics(Namespace=space, MetricName="m", **asked)["Datapoints"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_missing_parameters_are_named(sink: Endpoint, protocol: str) -> None:
    answer = ask(sink.url, protocol, "GetMetricStatistics", encoded(protocol, "GetMetricStatistics", {"Namespace": "n"}))
    assert told(answer) == (400, "MissingParameter" if protocol == "query" else "MissingRequiredParameterException")
    assert b"The parameter MetricName is required." in answer.body


def test_a_made_up_list_token(client: Any) -> None:
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="NextToken"):
        client.list_metrics(NextToken="bm90aGluZw==")


# An agent's key

OWN = [
    [{"Name": "InstanceId", "Value": "i-1"}],
    [{"Name": "LayerId", "Value": "l-2"}],
    [{"Name": "StackId", "Value": "s-1"}],
    [{"Name": "InstanceId", "Value": "i-1"}, {"Name": "Volume", "Value": "/"}],
]
FOREIGN = [
    [],
    [{"Name": "Volume", "Value": "/"}],
    [{"Name": "InstanceId", "Value": "i-2"}],
    [{"Name": "InstanceId", "Value": "i-2"}, {"Name": "LayerId", "Value": "l-1"}],
    [{"Name": "StackId", "Value": "i-1"}],
]


def test_an_agent_puts_about_its_own_host_layers_and_stack(sink: Endpoint, space: str) -> None:
    agent = sink.client("AKAGENT")
    agent.put_metric_data(Namespace=space, MetricData=[{"MetricName": "m", "Dimensions": each, "Value": 1.0} for each in OWN])
    assert len(sink.client().list_metrics(Namespace=space)["Metrics"]) == 4


@pytest.mark.parametrize("dimensions", FOREIGN, ids=str)
def test_an_agent_puts_nothing_about_others(sink: Endpoint, space: str, dimensions: list[dict[str, str]]) -> None:
    data = [
        {"MetricName": "m", "Dimensions": OWN[0], "Value": 1.0},
        {"MetricName": "m", "Dimensions": dimensions, "Value": 1.0},
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        sink.client("AKAGENT").put_metric_data(Namespace=space, MetricData=data)
    assert sink.client().list_metrics(Namespace=space)["Metrics"] == []
