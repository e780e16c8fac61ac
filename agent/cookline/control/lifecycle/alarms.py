"""States of alarms, asked of wherever the stack's metrics go: its own endpoint, or the sink of `cookline server`."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.errors import RunError

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision

# A gate asks again and again: one question may not use up all of its time.
ANSWER_SECONDS = 5.0


class Alarms:
    """The alarms of one revision's endpoint; `directory` is .cookline. Nothing is imported before the first question."""

    def __init__(self, directory: Path, revision: Revision) -> None:
        self._directory, self._revision = directory, revision
        self._lock = threading.Lock()
        self._opened: tuple[Any, str] | None = None

    def state(self, name: str) -> tuple[str, str]:
        """ "OK", "ALARM" or "INSUFFICIENT_DATA", and why. Raises RunError for an alarm, or an endpoint, that is not there."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client, endpoint = self._client()
            answer = client.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        except (BotoCoreError, ClientError) as error:
            raise RunError(f"alarm {name} cannot be asked for: {error}") from None
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        if not found:
            raise RunError(f"there is no alarm {name} at {endpoint}")
        return str(found[0]["StateValue"]), str(found[0].get("StateReason") or "")

    def _client(self) -> tuple[Any, str]:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Any, str]:
        import boto3
        from botocore.config import Config

        settings = self._endpoint()
        once = Config(connect_timeout=ANSWER_SECONDS, read_timeout=ANSWER_SECONDS, retries={"max_attempts": 0})
        # a session of its own: boto3's default one is not for several threads
        return boto3.session.Session().client("cloudwatch", config=once, **settings), settings["endpoint_url"]

    def _endpoint(self) -> dict[str, Any]:
        metrics = self._revision.stack.metrics
        if metrics.endpoint is not None:
            from cookline.control.stack.secret_resolver import Resolver

            resolver = Resolver(self._directory, base=self._revision.directory)
            keys = (resolver.resolve(metrics.access_key), resolver.resolve(metrics.secret_key))
            return _settings(metrics.endpoint, metrics.region, *keys)
        try:
            own = json.loads((self._directory / "sink.json").read_text())
        except FileNotFoundError:
            raise RunError("no sink keeps this stack's metrics, and so no alarms", hint="cookline server --detach") from None
        return _settings(own["endpoint"], own["region"], own["access_key"], own["secret_key"])


def _settings(endpoint: str, region: str, access_key: str | None, secret_key: str | None) -> dict[str, Any]:
    """Without keys those of the environment count."""
    named = {"endpoint_url": endpoint, "region_name": region}
    return {**named, "aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
