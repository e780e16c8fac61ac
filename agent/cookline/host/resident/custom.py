"""Values of a cookbook's own, `node.metric(..)`: spooled like the agent's, in the namespace `Cookline/STACK`."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.host.resident import outbox
from cookline.host.resident.metrics import datums, series
from cookline.host.resident.settings import Settings, load
from cookline.host.resident.spool import Spool

# CloudWatch keeps AWS/ for itself; the controller takes no other namespace than this from a host.
NAMESPACE = "Cookline/"


def spool(instance_id: str, name: str, value: float, unit: str) -> bool:
    """Put one value to where this host's agent has its own; False where no agent of that instance is (yet)."""
    with contextlib.suppress(HostStateError):
        settings = load(paths.AGENT_SETTINGS)
        if settings.instance_id == instance_id:
            return _spool_of(settings).append("metric", *_data(settings, name, value, unit))
    return False


def _spool_of(settings: Settings) -> Spool:
    return Spool(outbox.OUTBOX if settings.publishes else paths.SPOOL, settings.spool_bytes, settings.instance_id)


def _data(settings: Settings, name: str, value: float, unit: str) -> List[Dict[str, Any]]:
    dimensions = series({"instance_id": settings.instance_id, "layers": settings.layers, "stack_id": settings.stack_id})
    found = datums({name: value}, dimensions, time.time(), unit)
    return [{**datum, "Namespace": NAMESPACE + settings.stack} for datum in found]
