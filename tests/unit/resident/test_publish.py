"""The publisher against a real sink, and its signatures against botocore's."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cookline.cloudwatch.serve import running
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.store import MetricStore
from cookline.host.resident import publish
from cookline.host.resident.publish import Publisher, PublishError

KEYS = {"AK": Credential("AK", "SK")}
REGION = "eu-central-1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    store = MetricStore(tmp_path / "metrics.db")
    yield store
    store.close()


@pytest.fixture
def url(store: MetricStore) -> Iterator[str]:
    with running(store, KEYS.get) as url:
        yield url


def datum(name: str = "cpu_idle", **more: Any) -> dict[str, Any]:
    dimensions = [{"Name": "InstanceId", "Value": "i-1"}]
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Timestamp": time.time() - 60,
        "Value": 2.5,
        "Unit": "Percent",
        **more,
    }


def total(store: MetricStore, name: str = "cpu_idle") -> float:
    now = int(time.time())
    points = store.statistics(
        "AWS/OpsWorks", name, [{"Name": "InstanceId", "Value": "i-1"}], start=now - 300, end=now + 60, period=60
    )
    return sum(point.total for point in points)


@pytest.fixture(params=["json", "query"])
def publisher(request: pytest.FixtureRequest, url: str) -> Iterator[Publisher]:
    publisher = Publisher(url, REGION, "AK", "SK", protocol=request.param)
    yield publisher
    publisher.close()


def test_puts_arrive(publisher: Publisher, store: MetricStore) -> None:
    assert publisher.put("AWS/OpsWorks", [datum(), datum(Value=1)]) == 2
    assert publisher.put("AWS/OpsWorks", [datum("procs", Value=float(7))]) == 1
    assert (total(store), total(store, "procs")) == (3.5, 7.0)


def test_values_and_statistic_sets_arrive(publisher: Publisher, store: MetricStore) -> None:
    bare = {key: value for key, value in datum().items() if key != "Value"}
    sets = {"SampleCount": 2, "Sum": 7, "Minimum": 3, "Maximum": 4}
    publisher.put("AWS/OpsWorks", [{**bare, "Values": [1, 2], "Counts": [1, 3]}, {**bare, "StatisticValues": sets}])
    assert total(store) == 14.0


def test_nothing_to_put_is_no_request() -> None:
    assert Publisher("http://127.0.0.1:1", REGION, "AK", "SK").put("AWS/OpsWorks", []) == 0


def test_more_than_a_thousand_datums_go_in_several_requests(publisher: Publisher, store: MetricStore) -> None:
    assert publisher.put("AWS/OpsWorks", [datum(Value=1) for _ in range(2500)]) == 2500
    assert total(store) == 2500.0


def test_bodies_stay_below_a_megabyte(publisher: Publisher, store: MetricStore) -> None:
    wide = [{"Name": f"name-{index}", "Value": "x" * 1000} for index in range(20)]
    assert publisher.put("AWS/OpsWorks", [datum("wide", Dimensions=wide) for _ in range(150)]) == 150


def test_one_connection_is_kept(publisher: Publisher) -> None:
    publisher.put("AWS/OpsWorks", [datum()])
    first = publisher._connection
    publisher.put("AWS/OpsWorks", [datum()])
    assert first is not None and publisher._connection is first


def test_a_restarted_server_is_found_again(store: MetricStore) -> None:
    with running(store, KEYS.get) as url:
        publisher = Publisher(url, REGION, "AK", "SK")
        publisher.put("AWS/OpsWorks", [datum()])
    with pytest.raises(PublishError, match="cannot be reached") as caught:
        publisher.put("AWS/OpsWorks", [datum()])
    assert caught.value.retryable
    with running(store, KEYS.get, port=int(url.rpartition(":")[2])):
        publisher.put("AWS/OpsWorks", [datum()])
        publisher.close()
    assert total(store) == 5.0


def test_a_wrong_secret_is_not_worth_a_retry(url: str) -> None:
    wrong = Publisher(url, REGION, "AK", "wrong")
    with wrong, pytest.raises(PublishError, match="does not match") as caught:
        wrong.put("AWS/OpsWorks", [datum()])
    assert (caught.value.retryable, caught.value.code) == (False, "SignatureDoesNotMatch")


def test_a_refused_datum_tells_how_many_were_taken_before(publisher: Publisher, store: MetricStore) -> None:
    data = [datum(Value=1) for _ in range(1000)] + [datum(Timestamp=time.time() - 15 * 86400)]
    with pytest.raises(PublishError, match="two weeks") as caught:
        publisher.put("AWS/OpsWorks", data)
    assert (caught.value.retryable, caught.value.code, caught.value.sent) == (False, "InvalidParameterValue", 1000)
    assert caught.value.culprit == 1000
    assert total(store) == 1000.0


@pytest.mark.parametrize("offset", [-3600.0, 3600.0])
def test_a_wrong_clock_is_corrected_by_the_servers_date(publisher: Publisher, store: MetricStore, offset: float) -> None:
    publisher.clock_offset = offset
    publisher.put("AWS/OpsWorks", [datum()])
    assert total(store) == 2.5
    assert abs(publisher.clock_offset) < 60


def test_only_web_addresses_are_endpoints() -> None:
    with pytest.raises(PublishError, match="is not a metrics endpoint"):
        Publisher("ftp://example", REGION, "AK", "SK")


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    plain = serialization.NoEncryption()
    (directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    (directory / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return directory / "certificate.pem", directory / "key.pem"


def test_tls_with_a_named_authority(store: MetricStore, certificate: tuple[Path, Path]) -> None:
    serving = running(store, KEYS.get, certificate=certificate[0], key=certificate[1])
    with serving as url, Publisher(url, REGION, "AK", "SK", ca_file=str(certificate[0])) as publisher:
        publisher.put("AWS/OpsWorks", [datum()])
        publisher.put("AWS/OpsWorks", [datum()])
    assert total(store) == 5.0


def test_tls_with_an_unknown_authority_is_refused(store: MetricStore, certificate: tuple[Path, Path]) -> None:
    serving = running(store, KEYS.get, certificate=certificate[0], key=certificate[1])
    with serving as url, pytest.raises(PublishError, match="cannot be reached") as caught:
        Publisher(url, REGION, "AK", "SK").put("AWS/OpsWorks", [datum()])
    assert "authority" in (caught.value.hint or "")
    assert total(store) == 0.0


# The signature, with botocore's as the oracle


def oracle(publisher_url: str, body: bytes, headers: dict[str, str], at: float, token: str | None) -> str:
    """What botocore signs at that time."""
    stamp = datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    request = AWSRequest("POST", publisher_url, headers=headers, data=body)
    request.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials("AK", "SK/with+signs", token), "monitoring", REGION)
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = stamp
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


@given(body=st.binary(max_size=200), at=st.integers(0, 4102444800), token=st.sampled_from([None, "a+long/token=="]))
@pytest.mark.parametrize(
    "endpoint", ["https://monitoring.eu-central-1.amazonaws.com/", "http://127.0.0.1:4582/", "http://h/a%20b/"]
)
def test_signatures_are_botocores(endpoint: str, body: bytes, at: int, token: str | None) -> None:
    publisher = Publisher(endpoint, REGION, "AK", "SK/with+signs", session_token=token)
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "A  b", "content-encoding": "gzip"}
    signed = publisher.signed_headers(body, headers, at)
    assert signed["authorization"].endswith(f"Signature={oracle(endpoint, body, headers, at, token)}")


def test_importing_the_publisher_loads_neither_ssl_nor_http() -> None:
    program = """if True:
        import sys, json, cookline.host.resident.publish
        print(json.dumps([name for name in ("ssl", "http.client") if name in sys.modules]))
    """
    path = str(Path(publish.__file__).parents[3])
    found = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert json.loads(found.stdout) == []
