"""Where cookline keeps its own files on a managed host: root, directories 0700, files 0600."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict

# The variable serves tests that converge a directory of their own without being root.
STATE_DIRECTORY = os.environ.get("COOKLINE_STATE", "/var/lib/cookline")
TREES = STATE_DIRECTORY + "/trees"
OBJECTS = STATE_DIRECTORY + "/objects"
RUNS = STATE_DIRECTORY + "/runs"
PLANS = STATE_DIRECTORY + "/plans"
LOCK = STATE_DIRECTORY + "/lock"
SNAPSHOT = STATE_DIRECTORY + "/snapshot.json"
INVENTORY = STATE_DIRECTORY + "/inventory.json"
RENDER_CACHE = STATE_DIRECTORY + "/render.json"
GIT_STAMPS = STATE_DIRECTORY + "/git.json"
BACKUPS = STATE_DIRECTORY + "/backups"
BALLAST = STATE_DIRECTORY + "/ballast"
SPOOL = STATE_DIRECTORY + "/spool"
AGENT_SETTINGS = STATE_DIRECTORY + "/agent.json"
AGENT_LINK = STATE_DIRECTORY + "/agent"


def read_private(path: str) -> Dict[str, Any]:
    """A JSON object that cookline has put there for itself; empty when there is none, or nothing readable."""
    import json

    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        content = json.load(file)
        if isinstance(content, dict):
            return content
    return {}


def write_private(path: str, content: bytes) -> None:
    """Put a file of cookline's own in place atomically, mode 0600."""
    staged = f"{path}.{os.getpid()}"
    try:
        with open(os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
        os.replace(staged, path)
    except OSError:  # a full disk: no half file stays behind
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise
