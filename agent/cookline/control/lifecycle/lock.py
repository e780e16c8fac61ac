"""One engine per cookline directory: a lock on `.cookline/engine.lock` that says who holds it.

The lock is the kernel's (flock): it ends with the process that holds it, however that ends. The text in the file is for people.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookline.errors import Locked

# A waiting command looks again this often; flock itself cannot wait for a limited time.
POLL_SECONDS = 0.1


class EngineLock:
    """Held from `take` to `release` or to the end of the process."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "engine.lock"
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        return self._handle is not None

    def take(self, command: str, *, wait: float = 0.0) -> None:
        """Raises Locked, naming the holder, when it is not free within `wait` seconds."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(handle)
                    raise self._refusal() from None
                time.sleep(POLL_SECONDS)
        self._handle = handle
        text = {"pid": os.getpid(), "user": operator(), "command": command, "since": time.time()}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(text).encode(), 0)

    def release(self) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _refusal(self) -> Locked:
        held = holder(self.path.parent) or {}
        since = max(0, round(time.time() - held.get("since", time.time())))
        who = f"{held.get('user', 'somebody')} (pid {held.get('pid', '?')})"
        return Locked(
            f"{who} has been running `{held.get('command', 'cookline')}` on {self.path.parent} for {since} s",
            hint="wait for it with --wait SECONDS, or watch it with `cookline status`",
        )


def holder(directory: Path) -> Mapping[str, Any] | None:
    """Who holds the lock: {"pid", "user", "command", "since"}; None when it is free. Takes nothing, starts nothing."""
    try:
        handle = os.open(directory / "engine.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            text: dict[str, Any] = json.loads(os.pread(handle, 4096, 0))
        except ValueError:
            return {}  # between taking it and writing who
        return text
    finally:
        os.close(handle)
    return None


def operator() -> str:
    """The name of the user who gives the commands."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
