"""A sink on loopback and boto3 clients that speak each of its protocols to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.model
import pytest
from botocore.config import Config

from cookline.cloudwatch.serve import running
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.store import MetricStore

PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")

CREDENTIALS = {
    "AKADMIN": Credential("AKADMIN", "admin-secret"),
    "AKAGENT": Credential(
        "AKAGENT",
        "agent-secret",
        actions=frozenset({"PutMetricData"}),
        dimensions={"InstanceId": frozenset({"i-1"}), "LayerId": frozenset({"l-1", "l-2"}), "StackId": frozenset({"s-1"})},
    ),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    store = MetricStore(tmp_path / "metrics.db")
    yield store
    store.close()


@pytest.fixture
def now() -> float:
    """The start of the minute before this one: samples at `now` are in the past and in one period."""
    return float(time.time() // 60 * 60 - 60)


@dataclass
class Endpoint:
    url: str
    store: MetricStore

    def client(self, access_key: str = "AKADMIN", secret_key: str | None = None) -> Any:
        secret = CREDENTIALS[access_key].secret_key if secret_key is None else secret_key
        return boto3.client(
            "cloudwatch",
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="session")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One sink for the whole session; tests keep apart by their namespaces."""
    store = MetricStore(tmp_path_factory.mktemp("sink") / "metrics.db")
    with running(store, CREDENTIALS.get) as url:
        yield Endpoint(url, store)
    store.close()


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (request.param,))
    return str(request.param)


@pytest.fixture
def client(sink: Endpoint, protocol: str) -> Any:
    """boto3's CloudWatch client, once for each protocol."""
    client = sink.client()
    assert client.meta.service_model.resolved_protocol == protocol
    return client


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    return f"test/{request.node.name}"[:255].replace("[", "/").replace("]", "")


@pytest.fixture
def connect(sink: Endpoint) -> Callable[..., Any]:
    return sink.client
