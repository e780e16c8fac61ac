"""The journal of a run: every event is on the host's disk before anybody is told of it.

One directory a run, named by its id: making the directory is what makes an attempt happen once. `journal.ndjson` in it has one
event a line; `alive` is locked by the running process, so that a follower knows a dead run from a slow one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

from cookline.host import paths
from cookline.host.run.masking import Masker

NEVER_BEGUN = "/never-begun"
RUNS_KEPT = 30  # features O94
PLANS_KEPT = 5
# Given back to the file system when it is full, so that the end of the run can still be written.
BALLAST_BYTES = 256 * 1024
# A run's end with its ten slowest resources is 1 to 2 KB.
TAIL_BYTES = 16 * 1024
# Quiet resources are written together; a follower sees them this late at most.
FLUSH_SECONDS = 0.05


def run_directory(run: str, *, apply: bool = True) -> str:
    return f"{paths.RUNS if apply else paths.PLANS}/{run}"


def find_run(run: str) -> Optional[str]:
    """The directory of a run or plan that this host knows."""
    candidates = (run_directory(run), run_directory(run, apply=False))
    return next((directory for directory in candidates if os.path.isdir(directory)), None)


def create(run: str, *, apply: bool) -> Optional[str]:
    """Make the directory of a new run; None when it exists already: the attempt has been made."""
    directory = run_directory(run, apply=apply)
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    keep_ballast()
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return None
    open(directory + "/journal.ndjson", "xb").close()
    return directory


def keep_ballast() -> None:
    """Raises OSError (ENOSPC) when the disk has no room for a run."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(paths.BALLAST).st_size >= BALLAST_BYTES:
            return
    with open(os.open(paths.BALLAST, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        try:
            file.write(b"\0" * BALLAST_BYTES)
            file.flush()
        except OSError:
            os.unlink(paths.BALLAST)
            raise


class Journal:
    """Writes the events of one attempt; `wake` is the write end of a pipe that a follower waits on."""

    def __init__(self, directory: str, masker: Masker, wake: Optional[int] = None) -> None:
        self.directory = directory
        self.masker = masker
        self.wake = wake
        self.sequence = 0
        self._alive = os.open(directory + "/alive", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._file = os.open(directory + "/journal.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._waiting: List[bytes] = []
        self._encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        self._flushed = time.monotonic()
        self._dirty = False

    def go_on(self) -> None:
        """Number on from what an earlier attempt has written."""
        last = last_event(self.directory)
        self.sequence = int(last.get("seq", -1)) + 1 if last else 0

    def write(self, event: Dict[str, Any], *, now: bool = True) -> None:
        """Append one event; `now=False` lets it wait up to FLUSH_SECONDS for company."""
        event = self.masker.event(event)
        event["seq"] = self.sequence
        self.sequence += 1
        self._waiting.append((self._encode(event) + "\n").encode())
        if now or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._append(b"".join(self._waiting))
            self._waiting.clear()
            self._dirty = True
        self._flushed = time.monotonic()
        if self.wake is not None:
            try:
                os.write(self.wake, b".")
            except BlockingIOError:
                pass  # the follower has not caught up; it reads to the end anyway
            except OSError:
                self.wake = None  # it is gone

    def sync(self) -> None:
        """Everything written so far survives a power cut from here on."""
        self.flush()
        if self._dirty:
            os.fdatasync(self._file)
            self._dirty = False

    def close(self) -> None:
        self.sync()
        os.close(self._file)
        os.close(self._alive)

    def _append(self, data: bytes) -> None:
        try:
            self._write_all(data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            with contextlib.suppress(FileNotFoundError):
                os.unlink(paths.BALLAST)
            self._write_all(data)

    def _write_all(self, data: bytes) -> None:
        start = os.fstat(self._file).st_size
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, start)  # no half line is ever left to be read
            raise


def is_alive(directory: str) -> bool:
    """Whether the process that writes this journal still runs."""
    try:
        descriptor = os.open(directory + "/alive", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def read(directory: str) -> Iterator[Dict[str, Any]]:
    """The whole lines of a journal; a torn last line is not a line."""
    try:
        with open(directory + "/journal.ndjson", "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                yield event


def last_event(directory: str) -> Optional[Dict[str, Any]]:
    """The last whole line of a journal, without reading the rest of it."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(directory + "/journal.ndjson", "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        lines = file.read().split(b"\n")
        event = json.loads(lines[-2]) if len(lines) > 2 else None
        return event if isinstance(event, dict) else None
    return None


def last_run(*, but: str = "") -> Optional[str]:
    """The directory of the newest run on this host that got the lock, except `but`: what the host owes stands there."""
    for directory in _newest_first(paths.RUNS):
        if os.path.basename(directory) != but and not os.path.exists(directory + NEVER_BEGUN):
            return directory
    return None


def mark_never_begun(directory: str) -> None:
    """Note that a run waited for the lock in vain; its journal says nothing of the host."""
    os.close(os.open(directory + NEVER_BEGUN, os.O_CREAT | os.O_WRONLY, 0o600))


def newest_plans() -> List[str]:
    """The directories of this host's plans, newest first."""
    return _newest_first(paths.PLANS)


def prune() -> None:
    """Keep the newest runs and plans; a run that is being written is never removed."""
    for parent, kept in ((paths.RUNS, RUNS_KEPT), (paths.PLANS, PLANS_KEPT)):
        for directory in _newest_first(parent)[kept:]:
            if not is_alive(directory):
                _remove(directory)


def _remove(directory: str) -> None:
    with contextlib.suppress(OSError):
        with os.scandir(directory) as entries:
            for entry in entries:
                _remove(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
        os.rmdir(directory)


def _newest_first(parent: str) -> List[str]:
    found: List[Tuple[float, str]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(parent) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append((os.stat(entry.path + "/journal.ndjson").st_mtime, entry.path))
    return [path for _, path in sorted(found, reverse=True)]
