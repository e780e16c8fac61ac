"""What the controller wants of the agent on this host: /var/lib/cookline/agent.json, written by setup (install.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Union

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.host.resident.metrics import NAMESPACE
from cookline.host.resident.spool import MAX_BYTES


@dataclass(frozen=True)
class Settings:
    """
    period              seconds between samples of the metrics, published in `namespace`; 0 samples none
    drift_interval      seconds between two looks at everything that was declared; 0 looks never
    drift_splay         up to so many seconds earlier or later, so that a fleet does not look all at once
    watch               look at a managed path as soon as inotify tells of it
    report              "ssh": all is spooled for the controller; or {"endpoint", "region", "access_key", "secret_key", "ca"}:
                        metrics are put there by the agent itself
    spool_bytes         the most that one spool takes on disk
    """

    instance: str = ""
    instance_id: str = ""
    stack: str = ""
    stack_id: str = ""
    layers: List[str] = field(default_factory=list)
    period: float = 60.0
    namespace: str = NAMESPACE
    drift_interval: float = 1800.0
    drift_splay: float = 300.0
    watch: bool = True
    report: Union[str, Dict[str, Any]] = "ssh"
    spool_bytes: int = MAX_BYTES

    @property
    def publishes(self) -> bool:
        """Whether the agent itself puts its metrics to an endpoint."""
        return isinstance(self.report, dict) and bool(self.report.get("endpoint"))


def parse(data: Mapping[str, Any]) -> Settings:
    """Settings out of the JSON that RunRequest.agent carries. Raises HostStateError."""
    try:
        metrics, drift, spool = data.get("metrics") or {}, data.get("drift") or {}, data.get("spool") or {}
        return Settings(
            instance=str(data.get("instance", "")),
            instance_id=str(data.get("instance_id", "")),
            stack=str(data.get("stack", "")),
            stack_id=str(data.get("stack_id", "")),
            layers=[str(layer) for layer in data.get("layers") or ()],
            period=float(metrics.get("period", Settings.period)),
            namespace=str(metrics.get("namespace", NAMESPACE)),
            drift_interval=float(drift.get("interval", Settings.drift_interval)),
            drift_splay=float(drift.get("splay", Settings.drift_splay)),
            watch=bool(drift.get("watch", True)),
            report=data.get("report") or "ssh",
            spool_bytes=int(spool.get("max_bytes", MAX_BYTES)),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise HostStateError(f"the agent's settings cannot be used: {error}", hint="setup writes them anew") from None


def load(path: str = paths.AGENT_SETTINGS) -> Settings:
    """The settings of this host. Raises HostStateError when they are missing or broken."""
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except (OSError, ValueError) as error:
        raise HostStateError(f"the agent's settings {path} cannot be read: {error}", hint="setup writes them anew") from None
    if not isinstance(data, dict):
        raise HostStateError(f"the agent's settings {path} are no mapping", hint="setup writes them anew")
    return parse(data)
