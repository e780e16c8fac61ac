"""Puts the metrics of the outbox to a CloudWatch endpoint, in order, acknowledged after each success (`report: https`)."""

from __future__ import annotations

import itertools
import random
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol

from cookline.host import paths
from cookline.host.resident.settings import Settings
from cookline.host.resident.spool import Spool

OUTBOX = paths.STATE_DIRECTORY + "/outbox"
# PutMetricData takes 1000 datums a request; fewer keep the agent small (each weighs some 2 KB while it is sent).
DATUMS_AT_ONCE = 300
# CloudWatch refuses what is older than two weeks (reference: PutMetricData).
OLDEST_SECONDS = 14 * 86400.0
# Answers that no later attempt changes: the datums are dropped, and that is told.
REFUSED = ("InvalidParameter", "MissingParameter", "Validation")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0


class Sink(Protocol):
    def put(self, namespace: str, data: List[Dict[str, Any]]) -> Any:
        """Put datums, in order; raises when not all were taken (an attribute `sent` of the error says how many were)."""


class Outbox:
    """A thread that sends what is appended to `spool`; while the sink is away it stays there, within the bound."""

    def __init__(self, settings: Settings, say: Callable[[str], None], sink: Optional[Sink] = None) -> None:
        self.spool = Spool(OUTBOX, settings.spool_bytes, settings.instance_id)
        self.error: Optional[str] = None  # why the last attempt failed
        self._settings = settings
        self._say = say
        self._sink = sink
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self) -> None:
        """There is something new."""
        self._news.set()

    def stop(self) -> None:
        """Ends the thread once the request that it is in the middle of has ended; what is left is sent after the next start."""
        self._stopping.set()
        self._news.set()

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                while self.send_some():
                    pause = FIRST_PAUSE
            except Exception as error:  # whatever the sink is up to, the agent goes on
                self._failed(error)
                self._stopping.wait(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._news.wait()
                self._news.clear()

    def send_some(self) -> int:
        """Put the next datums and acknowledge them; how many there were. Raises what the sink raises."""
        records = list(self.spool.read(limit=DATUMS_AT_ONCE))
        if self._stopping.is_set() or not records:
            return 0
        self._tell_losses(records)
        metrics = [record for record in records if record["kind"] == "metric" and self._is_young(record)]
        if metrics:
            self._put(metrics)
        self.spool.acknowledge(records[-1]["seq"])
        if self.error is not None:
            self._say(f"metrics reach {self._endpoint()} again")
            self.error = None
        return len(records)

    def _put(self, metrics: List[Dict[str, Any]]) -> None:
        if self._sink is None:
            self._sink = connect(self._settings)
        for namespace, group in itertools.groupby(metrics, key=self._namespace):
            records = list(group)
            self._put_to(self._sink, namespace, records)
            self.spool.acknowledge(records[-1]["seq"])

    def _put_to(self, sink: Sink, namespace: str, records: List[Dict[str, Any]]) -> None:
        try:
            sink.put(namespace, [{key: value for key, value in each["data"].items() if key != "Namespace"} for each in records])
        except Exception as error:
            sent = int(getattr(error, "sent", 0))
            if sent:
                self.spool.acknowledge(records[sent - 1]["seq"])
            if not str(getattr(error, "code", "")).startswith(REFUSED):
                raise
            self._say(f"{len(records) - sent} metrics were lost: {error}")

    def _tell_losses(self, records: List[Dict[str, Any]]) -> None:
        """What the outbox lost is told in the spool, which the controller collects."""
        for record in records:
            if record["kind"] == "log":
                self._say(f"outbox: {record['data'].get('text')}")
        old = sum(record["kind"] == "metric" and not self._is_young(record) for record in records)
        if old:
            self._say(f"{old} metrics were lost: they waited for more than two weeks")

    def _namespace(self, record: Mapping[str, Any]) -> str:
        """Values of cookbooks name their own (custom.py)."""
        return str(record["data"].get("Namespace") or self._settings.namespace)

    @staticmethod
    def _is_young(record: Dict[str, Any]) -> bool:
        return time.time() - float(record["at"]) < OLDEST_SECONDS

    def _failed(self, error: Exception) -> None:
        if self.error is None:
            self._say(f"metrics do not reach {self._endpoint()} and are kept meanwhile: {type(error).__name__}: {error}")
        self.error = f"{type(error).__name__}: {error}"

    def _endpoint(self) -> str:
        report = self._settings.report
        return str(report.get("endpoint")) if isinstance(report, dict) else "nowhere"


def connect(settings: Settings) -> Sink:
    """The publisher of the settings' endpoint; imports ssl, so not before it is needed."""
    from cookline.host.resident.publish import Publisher

    report: Mapping[str, Any] = settings.report if isinstance(settings.report, dict) else {}
    sink: Sink = Publisher(
        str(report["endpoint"]),
        str(report.get("region") or "us-east-1"),
        str(report.get("access_key", "")),
        str(report.get("secret_key", "")),
        ca_file=authority_file(str(report.get("ca") or "")),
    )
    return sink


def authority_file(ca: str) -> Optional[str]:
    """`ca` is the path of a PEM file on this host, or the PEM text itself, which is then put into a file."""
    if "-----BEGIN" not in ca:
        return ca or None
    path = paths.STATE_DIRECTORY + "/agent-ca.pem"
    paths.write_private(path, ca.encode())
    return path
