"""The fence: a host takes no snapshot older than one it has seen, and none of another store unasked."""

from __future__ import annotations

import json

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.protocol import RunRequest


def accept(request: RunRequest) -> None:
    """Remember the request's (store, number). Raises HostStateError for an older one or another store's."""
    new = {"store": request.snapshot.get("store"), "number": request.snapshot.get("number", 0)}
    if new["store"] is None:
        return
    seen = paths.read_private(paths.SNAPSHOT)
    if seen.get("store") not in (None, new["store"]) and not request.take_over:
        raise HostStateError(
            f"this host is managed by another store ({seen['store']}), not by {new['store']}",
            hint="two machines with a .cookline directory each are two stores; --take-over moves the host to this one",
        )
    if seen.get("store") == new["store"] and new["number"] < seen["number"]:
        raise HostStateError(f"snapshot {new['number']} is older than {seen['number']}, which this host has seen already")
    if new != seen:
        paths.write_private(paths.SNAPSHOT, json.dumps(new).encode())
