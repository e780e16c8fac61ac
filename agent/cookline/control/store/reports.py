"""The events of each run, as the host sent them: `.cookline/runs/<run id>.ndjson`, one JSON object a line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from cookline.control.store.database import disk_full
from cookline.control.store.identifiers import is_identifier
from cookline.errors import DiskFull


class Report:
    """A report that is being written. Events that it holds already (by their "seq") are not written twice, so that a run
    that is attached to again ends up with one report."""

    def __init__(self, path: Path) -> None:
        self._directory = path.parent.parent
        self._last = max((event.get("seq", -1) for event in read(path)), default=-1)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stream: BinaryIO = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+b")
        # a writer that was killed may have left half a line
        self._stream.truncate(sum(len(line) for line in self._stream if line.endswith(b"\n")))
        self._stream.seek(0, os.SEEK_END)

    def add(self, event: Mapping[str, Any]) -> bool:
        """Append; False when it was there already."""
        sequence = event.get("seq")
        if isinstance(sequence, int):
            if sequence <= self._last:
                return False
            self._last = sequence
        try:
            self._stream.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
            # readers (attach, status, server) follow the file while it grows
            self._stream.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise disk_full(self._directory) from None
        return True

    def __enter__(self) -> Report:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # what a full disk did not take is in the buffer still
        with contextlib.suppress(OSError) if isinstance(error, DiskFull) else contextlib.nullcontext():
            self._stream.close()


class Reports:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, run_id: str) -> Path:
        if not is_identifier(run_id):
            raise ValueError(f"{run_id!r} is not a run id")
        return self.directory / f"{run_id}.ndjson"

    def open(self, run_id: str) -> Report:
        return Report(self.path(run_id))

    def kept(self) -> list[str]:
        """The ids of all runs that have a report, oldest first."""
        return sorted(path.stem for path in self.directory.glob("*.ndjson") if is_identifier(path.stem))

    def remove(self, run_id: str) -> None:
        self.path(run_id).unlink(missing_ok=True)

    def events(self, run_id: str) -> Iterator[dict[str, Any]]:
        """The events so far; none for a run that never began."""
        return read(self.path(run_id))


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a report; a last line that a killed writer left half-written is passed over."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)
