"""`report: https` on a real host: its agent puts metrics to a TLS sink by itself, with that host's own key."""

from __future__ import annotations

import datetime
import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cookline.cloudwatch.serve import running
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.store import MetricStore
from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

OWN_KEY = Credential(
    "AKHOST",
    "the-key-of-this-host",
    frozenset({"PutMetricData"}),
    {"InstanceId": frozenset({"i-1"}), "LayerId": frozenset({"l-1"}), "StackId": frozenset({"s-1"})},
)
READER = Credential("AKREADER", "the-key-of-a-reader")
KEYS = {each.access_key: each for each in (OWN_KEY, READER)}


class Sink:
    """A TLS sink at the address by which the host sees this machine; it can be away."""

    def __init__(self, directory: Path, address: str) -> None:
        self.address, self.certificate, self.key = address, directory / "certificate.pem", directory / "key.pem"
        self.store = MetricStore(directory / "metrics.db")
        _make_certificate(address, self.certificate, self.key)

    def running(self, port: int = 0) -> Any:
        return running(self.store, KEYS.get, host=self.address, port=port, certificate=self.certificate, key=self.key)

    def samples(self, url: str, metric: str, dimension: str, value: str) -> float:
        """How many values the sink has of one series, asked through its own wire protocol."""
        client = boto3.client(
            "cloudwatch",
            endpoint_url=url,
            region_name="eu-central-1",
            aws_access_key_id=READER.access_key,
            aws_secret_access_key=READER.secret_key,
            verify=str(self.certificate),
        )
        now = datetime.datetime.now(datetime.UTC)
        points = client.get_metric_statistics(
            Namespace="AWS/OpsWorks",
            MetricName=metric,
            Dimensions=[{"Name": dimension, "Value": value}],
            StartTime=now - datetime.timedelta(hours=1),
            EndTime=now + datetime.timedelta(minutes=1),
            Period=3600,
            Statistics=["SampleCount"],
        )["Datapoints"]
        client.close()
        return sum(point["SampleCount"] for point in points)


def _make_certificate(address: str, certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def sink(host: LabHost, tmp_path: Path) -> Iterator[Sink]:
    sink = Sink(tmp_path, host.run("echo $SSH_CONNECTION", check=True).stdout.split()[0])
    yield sink
    sink.store.close()


@pytest.fixture
def controller(host: LabHost, tmp_path: Path) -> Iterator[Controller]:
    controller = Controller(target_of(host, tmp_path), "def recipe(node):\n    pass\n")
    yield controller
    controller.close()


def settings(endpoint: str, sink: Sink, **report: str) -> dict[str, Any]:
    own = {"region": "eu-central-1", "access_key": OWN_KEY.access_key, "secret_key": OWN_KEY.secret_key}
    return {
        "instance": "lab1",
        "instance_id": "i-1",
        "stack_id": "s-1",
        "layers": ["l-1"],
        "metrics": {"period": 1},
        "report": {"endpoint": endpoint, "ca": sink.certificate.read_text(), **own, **report},
    }


def wait(what: Callable[[], Any], host: LabHost) -> Any:
    deadline = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline, host.run("journalctl -u cookline-agent --no-pager | tail -30").stdout
        time.sleep(0.1)
    return found


def test_metrics_reach_a_tls_sink_and_what_was_measured_while_it_was_away_follows(
    host: LabHost, controller: Controller, sink: Sink
) -> None:
    with sink.running() as url:
        assert controller.run(event="setup", agent=settings(url, sink))["outcome"] == "successful"
        for dimension, value in (("InstanceId", "i-1"), ("LayerId", "l-1"), ("StackId", "s-1")):
            wait(lambda: sink.samples(url, "load_1", dimension, value) > 1, host)  # noqa: B023
        before = sink.samples(url, "load_1", "InstanceId", "i-1")
    wait(lambda: "do not reach" in host.run("journalctl -u cookline-agent --no-pager").stdout, host)
    away = host.run("ls -s /var/lib/cookline/outbox/*.ndjson").stdout
    assert away, "they are kept meanwhile"
    status = host.run("cat /proc/$(systemctl show -p MainPID --value cookline-agent)/status").stdout
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert int(fields["VmRSS"].split()[0]) < 30 * 1024 and int(fields["Threads"]) <= 8
    with sink.running(int(url.rsplit(":", 1)[1])) as url:
        wait(lambda: sink.samples(url, "load_1", "InstanceId", "i-1") >= before + 3, host)
    records = controller.conversation().collect(0, 10_000)[1]
    assert {record["kind"] for record in records} >= {"heartbeat", "log"}, "the rest is collected as ever"
    assert "metric" not in {record["kind"] for record in records}


def test_another_host_s_numbers_are_refused_and_the_agent_says_so(host: LabHost, controller: Controller, sink: Sink) -> None:
    with sink.running() as url:
        foreign = {**settings(url, sink), "instance_id": "i-2"}
        assert controller.run(event="setup", agent=foreign)["outcome"] == "successful"
        wait(lambda: "own instance only" in host.run("journalctl -u cookline-agent --no-pager").stdout, host)
        assert sink.samples(url, "load_1", "InstanceId", "i-2") == 0


def test_the_host_s_key_is_shown_nowhere(host: LabHost, controller: Controller, sink: Sink) -> None:
    with sink.running() as url:
        run = controller.begin(event="setup", agent=settings(url, sink))
        assert run.join()["outcome"] == "successful"
        wait(lambda: sink.samples(url, "load_1", "InstanceId", "i-1") > 0, host)
        assert OWN_KEY.secret_key not in json.dumps(run.events)
        assert OWN_KEY.secret_key not in host.run("journalctl --no-pager; ps axww; cat /var/lib/cookline/spool/*.ndjson").stdout
        holders = host.run(f"grep -rl {OWN_KEY.secret_key} /var/lib/cookline /etc").stdout.split()
    modes = {host.testinfra.file(path).mode for path in holders}
    assert modes == {0o600}, holders
