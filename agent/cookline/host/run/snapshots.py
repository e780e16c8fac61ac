"""The fence: a host takes no snapshot older than one it has seen, and none of another store unasked."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Dict

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.protocol import RunRequest


def accept(request: RunRequest) -> None:
    """Remember the request's (store, number). Raises HostStateError for an older one or another store's."""
    new = {"store": request.snapshot.get("store"), "number": request.snapshot.get("number", 0)}
    if new["store"] is None:
        return
    seen = _read()
    if seen.get("store") not in (None, new["store"]) and not request.take_over:
        raise HostStateError(
            f"this host is managed by another store ({seen['store']}), not by {new['store']}",
            hint="two machines with a .cookline directory each are two stores; --take-over moves the host to this one",
        )
    if seen.get("store") == new["store"] and new["number"] < seen["number"]:
        raise HostStateError(f"snapshot {new['number']} is older than {seen['number']}, which this host has seen already")
    if new != seen:
        paths.write_private(paths.SNAPSHOT, json.dumps(new).encode())


def _read() -> Dict[str, Any]:
    with contextlib.suppress(OSError, ValueError), open(paths.SNAPSHOT, "rb") as file:
        content = json.load(file)
        if isinstance(content, dict):
            return content
    return {}
