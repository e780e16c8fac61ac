"""Whatever a holder of a key sends, the answer is a refusal in its own protocol: never a 500, never a traceback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cookline.cloudwatch import cbor
from cookline.cloudwatch.app import Sink, create_app
from cookline.cloudwatch.codec import operation_model
from cookline.cloudwatch.store import MetricStore
from tests.unit.cloudwatch.conftest import CREDENTIALS
from tests.unit.cloudwatch.wire import Answer, dressed, inject, signed

OPERATIONS = ("PutMetricData", "GetMetricStatistics", "GetMetricData", "ListMetrics")
URL = "http://sink"
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def app() -> Iterator[Sink]:
    store = MetricStore(":memory:")
    yield create_app(store, CREDENTIALS.get)
    store.close()


def give(app: Sink, protocol: str, operation: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    path, dress = dressed(protocol, operation)
    dress |= headers or {}
    return inject(app, path, {"host": "sink"} | signed(URL, path, dress, body), body)


def check(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    assert answer.status == 200 or 400 <= answer.status < 500, answer
    assert b"Traceback" not in answer.body and b"File " not in answer.body
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def _members(shape: Any) -> set[str]:
    """The names of all members below a shape."""
    if shape.type_name == "structure":
        return set(shape.members).union(*map(_members, shape.members.values()))
    return _members(shape.member) if shape.type_name == "list" else set()


# Values that look like what is asked for, with members and types gone wrong.
NAMES = st.sampled_from(sorted(set().union(*(_members(operation_model(name).input_shape) for name in OPERATIONS))))
WORDS = st.sampled_from(
    ["Average", "p99", "IQM", "tm90", "m1", "m1+m1", "Percent", "PT3H", "NaN", "Infinity", "\ud800", "\u0000", ""]
)
NUMBERS = (
    st.sampled_from([0, 1, 60, 300, 3600, -1, 2**31, 2**64, 10**400, 1e308, 5e-324, 1763913600, 0.5])
    | st.integers()
    | st.floats()
)
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)


@pytest.mark.parametrize("protocol", ["json", "query", "cbor"])
@FUZZ
@given(operation=st.sampled_from(OPERATIONS), body=st.binary(max_size=300))
@example(operation="PutMetricData", body=b"\x9f" * 100)
@example(operation="PutMetricData", body=b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff")
@example(operation="PutMetricData", body=b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff")
@example(operation="ListMetrics", body=b"1" * 5000)
@example(operation="ListMetrics", body=b"Action=ListMetrics&Dimensions.member.1=x&Dimensions.member.1.Name=y")
@example(operation="ListMetrics", body=b"Action=ListMetrics&Dimensions=&Namespace.a.b=1&.=&..=")
def test_bytes(app: Sink, caplog: pytest.LogCaptureFixture, protocol: str, operation: str, body: bytes) -> None:
    check(give(app, protocol, operation, body), caplog)


@FUZZ
@given(operation=st.sampled_from(OPERATIONS), body=st.binary(max_size=300))
def test_compressed_bytes(app: Sink, caplog: pytest.LogCaptureFixture, operation: str, body: bytes) -> None:
    check(give(app, "json", operation, body, {"content-encoding": "gzip"}), caplog)


DATUM = {"MetricName": "m", "Value": 1.0}
QUESTION = {"Namespace": "n", "MetricName": "m", "StartTime": 0, "EndTime": 3600, "Period": 60, "Statistics": ["Sum"]}
QUERY = {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "p50"}}
GOOD: dict[str, dict[str, Any]] = {
    "PutMetricData": {"Namespace": "n", "MetricData": [DATUM]},
    "GetMetricStatistics": QUESTION,
    "GetMetricData": {"StartTime": 0, "EndTime": 3600, "MetricDataQueries": [QUERY]},
    "ListMetrics": {"Namespace": "n"},
}


@st.composite
def bent(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An operation and good parameters, one or two of whose members, at any depth, are replaced or added."""
    operation = draw(st.sampled_from(OPERATIONS))
    parameters = json.loads(json.dumps(GOOD[operation]))
    for _ in range(draw(st.integers(1, 2))):
        node: Any = parameters
        while isinstance(node, (dict, list)) and node and draw(st.booleans()):
            inner = [each for each in (node.values() if isinstance(node, dict) else node) if isinstance(each, (dict, list))]
            if not inner:
                break
            node = draw(st.sampled_from(inner))
        if isinstance(node, dict):
            node[draw(st.sampled_from(sorted(node)) | NAMES if node else NAMES)] = draw(VALUES)
        else:
            node.append(draw(VALUES))
    return operation, parameters


@FUZZ
@given(bent())
@example(("PutMetricData", {"Namespace": "n", "MetricData": [{**DATUM, "Dimensions": [{"Name": [], "Value": {}}]}]}))
@example(("PutMetricData", {"Namespace": "n", "MetricData": [{**DATUM, "StorageResolution": [1]}]}))
@example(("PutMetricData", {"Namespace": "n", "MetricData": [DATUM], "EntityMetricData": 7}))
def test_bent_json(app: Sink, caplog: pytest.LogCaptureFixture, case: tuple[str, dict[str, Any]]) -> None:
    check(give(app, "json", case[0], json.dumps(case[1]).encode()), caplog)


@FUZZ
@given(bent())
def test_bent_cbor(app: Sink, caplog: pytest.LogCaptureFixture, case: tuple[str, dict[str, Any]]) -> None:
    try:
        body = cbor.dumps(case[1])
    except (UnicodeEncodeError, StopIteration):
        return
    check(give(app, "cbor", case[0], body), caplog)


FIELDS = st.dictionaries(
    st.lists(NAMES | st.sampled_from(["member", "1", "2", "entry", "key", ""]), min_size=1, max_size=6).map(".".join),
    (NUMBERS.map(repr) | WORDS).map(lambda word: word.encode("utf-8", "surrogatepass")),
    max_size=8,
)


@FUZZ
@given(st.sampled_from(OPERATIONS), FIELDS)
def test_bent_forms(app: Sink, caplog: pytest.LogCaptureFixture, operation: str, fields: dict[str, bytes]) -> None:
    check(give(app, "query", operation, urlencode({"Action": operation, **fields}).encode()), caplog)


@FUZZ
@given(st.text(alphabet="AWS4-HMAC-SHA256 Credential=/,;SignedHeaders=host Signature=0", max_size=150))
@example(
    "AWS4-HMAC-SHA256 Credential=AKADMIN/20261123/r/monitoring/aws4_request, SignedHeaders=host;x-amz-date, Signature=\u00e9"
)
@example("AWS4-HMAC-SHA256 Credential=AKADMIN/20261123/r/monitoring/aws4_request, SignedHeaders=;, Signature=0")
def test_authorizations(app: Sink, caplog: pytest.LogCaptureFixture, text: str) -> None:
    path, headers = dressed("json", "ListMetrics")
    headers = signed(URL, path, headers, b"{}") | {"host": "sink", "authorization": text}
    answer = inject(app, path, headers, b"{}")
    assert answer.status in (400, 403)
    check(answer, caplog)


@pytest.mark.parametrize("protocol", ["json", "cbor"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_bent_here_was_good(app: Sink, protocol: str, operation: str) -> None:
    body = json.dumps(GOOD[operation]).encode() if protocol == "json" else cbor.dumps(GOOD[operation])
    assert give(app, protocol, operation, body).status == 200
