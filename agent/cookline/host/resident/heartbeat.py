"""The last heartbeat of the agent, kept on the host for whoever asks there: the `status` operation, a person."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any, Dict, Optional

from cookline.host import paths

HEARTBEAT = paths.STATE_DIRECTORY + "/heartbeat.json"


def write(condition: Dict[str, Any], path: str = HEARTBEAT) -> None:
    """Raises OSError when the disk is full."""
    paths.write_private(path, json.dumps({"at": time.time(), **condition}).encode())


def read(path: str = HEARTBEAT) -> Optional[Dict[str, Any]]:
    """{"at": epoch seconds, "age": seconds since then by this host's clock, ..Daemon.condition}; None without an agent."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        beat = json.loads(file.read())
        if isinstance(beat, dict) and "at" in beat:
            return {**beat, "age": round(time.time() - float(beat["at"]), 1)}
    return None
