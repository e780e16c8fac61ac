"""The embedded sink: CloudWatch's API on a port of this machine, and where the agents' metrics go."""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.server.listener import Listener

if TYPE_CHECKING:
    from cookline.cloudwatch.store import MetricStore

_log = logging.getLogger(__name__)

Put = Callable[[str, Sequence[Mapping[str, Any]]], None]

# Unassigned by IANA; cloudwatch clients are told the whole address anyway.
DEFAULT_PORT = 8487


@dataclass(frozen=True)
class Access:
    """What a CloudWatch client needs; kept in `.cookline/sink.json`, 0600."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def of(cls, directory: Path, endpoint: str) -> Access:
        """The directory's keys, made at the first start, with today's address."""
        path = directory / "sink.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        access = cls(
            endpoint,
            "us-east-1",
            known.get("access_key") or "COOKLINE" + secrets.token_hex(6).upper(),
            known.get("secret_key") or secrets.token_urlsafe(30),
        )
        staged = path.with_suffix(".new")
        with open(os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
            json.dump(asdict(access), file)
        staged.replace(path)
        return access


class Sink:
    """The metric store of a cookline directory, served over HTTP on `host`:`port` by a thread of this process.

    Raises CooklineError when the port is taken.
    """

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        from cookline.cloudwatch.app import create_app
        from cookline.cloudwatch.sigv4 import Credential
        from cookline.cloudwatch.store import MetricStore

        self.store: MetricStore = MetricStore(directory / "metrics.db")
        credentials: dict[str, Credential] = {}
        try:
            self._listener = Listener(create_app(self.store, credentials.get), host, port, what="the metric sink")
        except BaseException:
            self.store.close()
            raise
        self.access = Access.of(directory, f"http://{self._listener.address}")
        credentials[self.access.access_key] = Credential(self.access.access_key, self.access.secret_key)

    def put(self, namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
        # one odd datum of a host must not hold up all that comes after it
        for refused in self.store.put_each(namespace, data):
            _log.warning("a metric of a host was refused: %s", refused.message)

    def close(self) -> None:
        self._listener.close()
        self.store.close()


def local_put(directory: Path) -> Put:
    """Puts into the metric store of a cookline directory without serving it; opened by the first metric."""
    opened: list[MetricStore] = []
    lock = threading.Lock()

    def put(namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
        from cookline.cloudwatch.store import MetricStore

        with lock:
            if not opened:
                opened.append(MetricStore(directory / "metrics.db"))
        for refused in opened[0].put_each(namespace, data):
            _log.warning("a metric of a host was refused: %s", refused.message)

    return put


def forwarder(endpoint: str, region: str, access_key: str | None, secret_key: str | None) -> Put:
    """Puts to a CloudWatch endpoint that the stack names (AWS or another); without keys those of the environment count."""
    import boto3

    client: Any = boto3.client(
        "cloudwatch",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )

    def put(namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(data), 1000):  # PutMetricData: at most 1,000 metrics in one request
            client.put_metric_data(Namespace=namespace, MetricData=list(data[start : start + 1000]))

    return put
