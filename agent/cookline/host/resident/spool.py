"""A bounded queue of records on disk, between the resident agent and whoever collects from it.

Segments of newline-delimited JSON lie in one directory, each named by the sequence number of its first record. Any process of
root may append, read or acknowledge: an flock orders the writers, readers need none. A record is

    {"seq": n, "kind": "metric" | "heartbeat" | "finding" | "log" | "watch", "at": epoch seconds, "boot": boot id,
     "instance_id": id, "data": {..}}

Sequence numbers only grow, over restarts and also over a spool that was wiped: a new spool starts at the epoch's milliseconds.
Nothing is lost silently: what the bound or a full disk takes away is counted in a record of kind "log".
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from cookline.host import paths

Record = Dict[str, Any]

MAX_BYTES = 16 * 1024 * 1024
# Segments are dropped whole, so a full spool loses at most this part of itself at once.
SEGMENTS = 16
# The wire takes lines of 256 KB (protocol.MAX_LINE_BYTES); the envelope of the wire needs some of them.
MAX_RECORD_BYTES = 240 * 1024
# Room that is kept for the record that tells of a loss.
NOTICE_BYTES = 512
SUFFIX = ".ndjson"


def boot_id() -> str:
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
    return ""


def collect(acknowledge: Optional[int], limit: int, directory: str = paths.SPOOL) -> Iterator[Record]:
    """Drop what the controller has stored (up to `acknowledge`), then give it at most `limit` further records, in order.

    What is given survives a power cut of this host, so that no number is used twice.
    """
    if not os.path.isdir(directory):
        return
    spool = Spool(directory)
    if acknowledge is not None:
        spool.acknowledge(acknowledge)
    spool.sync()
    yield from spool.read(acknowledge, limit)


class Spool:
    """The queue in `directory`, at most `max_bytes` on disk."""

    def __init__(self, directory: str = paths.SPOOL, max_bytes: int = MAX_BYTES, instance_id: str = "") -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.instance_id = instance_id
        self.segment_bytes = max(1, max_bytes // SEGMENTS)
        self.unwritten = 0  # records that a full disk refused and that no record tells of yet
        self.failure: Optional[str] = None  # why the last append failed
        self._boot = boot_id()
        self._tail: Tuple[str, int, int] = ("", 0, 0)  # segment, its size, the number of the next record

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, kind: str, *data: Dict[str, Any], at: Optional[float] = None, sync: bool = False) -> bool:
        """Append one record for each of `data`; with `sync` they are on the platter when this returns.

        False when the disk refuses them: they are then counted, `failure` says why, and the next append tells of them.
        """
        entries = [(kind, each) for each in data]
        if self.unwritten:
            text = f"{self.unwritten} records were lost: {self.failure}"
            entries.insert(0, ("log", {"level": "error", "text": text, "lost": self.unwritten}))
        try:
            with self._locked():
                self._append(entries, time.time() if at is None else at)
                if sync:
                    self._sync_tail()
        except OSError as error:
            self.unwritten += len(data)
            self.failure = error.strerror or str(error)
            return False
        self.unwritten, self.failure = 0, None
        return True

    def _append(self, entries: Sequence[Tuple[str, Dict[str, Any]]], at: float) -> None:
        segment, size, number = self._find_tail()
        waiting = b""
        for kind, data in entries:
            line = self._line(number, kind, at, data)
            if size + len(waiting) + len(line) > self.segment_bytes and size + len(waiting) > 0:
                self._write(segment, size, waiting)
                segment, size, waiting = self._start_segment(number), 0, b""
            waiting += line
            number += 1
        self._write(segment, size, waiting)
        self._tail = (segment, size + len(waiting), number)
        lost = self._keep_bound()
        if lost:
            self._append_notice(lost, at)

    def _append_notice(self, lost: int, at: float) -> None:
        """Goes into the room that `_keep_bound` left for it."""
        segment, size, number = self._tail
        text = f"{lost} records were lost: the spool holds at most {self.max_bytes} bytes and nobody collected them"
        line = self._line(number, "log", at, {"level": "error", "text": text, "lost": lost})
        self._write(segment, size, line)
        self._tail = (segment, size + len(line), number + 1)

    def _line(self, number: int, kind: str, at: float, data: Dict[str, Any]) -> bytes:
        record = {"seq": number, "kind": kind, "at": round(at, 3), "boot": self._boot, "instance_id": self.instance_id}
        line = json.dumps({**record, "data": data}, separators=(",", ":")).encode() + b"\n"
        if len(line) > MAX_RECORD_BYTES:
            cut = {"level": "error", "text": f"a record of kind {kind} was too long ({len(line)} bytes)", "lost": 1}
            line = json.dumps({**record, "kind": "log", "data": cut}, separators=(",", ":")).encode() + b"\n"
        return line

    def _write(self, segment: str, size: int, content: bytes) -> None:
        """Append whole lines or nothing."""
        descriptor = os.open(segment, os.O_WRONLY | os.O_APPEND)
        try:
            written = 0
            while written < len(content):
                written += os.write(descriptor, content[written:])
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)

    def _start_segment(self, number: int) -> str:
        segment = f"{self.directory}/{number:020d}{SUFFIX}"
        os.close(os.open(segment, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        return segment

    def _find_tail(self) -> Tuple[str, int, int]:
        """The segment that is written, its size and the next number; mends what a crash left. Needs the lock."""
        segments = self._segments()
        if not segments:
            number = max(self.acknowledged() + 1, int(time.time() * 1000))
            return self._start_segment(number), 0, number
        first, segment = segments[-1]
        if (segment, os.stat(segment).st_size) == self._tail[:2]:
            return self._tail
        with open(segment, "r+b") as file:
            good, number = 0, first
            for line in file:
                found = _number(line)
                if found is None:
                    break
                good, number = good + len(line), found + 1
            file.truncate(good)
        return segment, good, number

    def _keep_bound(self) -> int:
        """Drop the oldest segments until the bound holds; how many records that nobody had acknowledged went with them.

        A notice of an earlier loss that goes with them is not a record, but what it counted is counted on.
        """
        segments = self._segments()
        sizes = [os.stat(segment).st_size for _, segment in segments]
        acknowledged, lost = self.acknowledged(), 0
        while sum(sizes) > self.max_bytes - NOTICE_BYTES and len(segments) > 1:
            segment = segments[0][1]
            lost += sum(_lost(record) for record in _records(segment, acknowledged))
            os.unlink(segment)
            del segments[0], sizes[0]
        return lost

    # -- acknowledging ---------------------------------------------------------------------------------------------

    def acknowledge(self, number: int) -> None:
        """Records up to `number` are stored elsewhere: segments that hold no others are dropped.

        A number that this spool never gave (it was wiped since) is of no meaning and ignored.
        """
        with self._locked():
            segment, _, following = self._find_tail()
            if not self.acknowledged() < number < following:
                return
            segments = self._segments()
            with contextlib.suppress(OSError):  # a full disk: they are sent once more, and dropping makes room
                if number == following - 1:
                    segments.append((following, self._start_segment(following)))
                paths.write_private(self.directory + "/acknowledged", str(number).encode())
            for index, (_, segment) in enumerate(segments[:-1]):
                if segments[index + 1][0] - 1 <= number:
                    os.unlink(segment)

    def acknowledged(self) -> int:
        """The last acknowledged number, or 0."""
        with contextlib.suppress(OSError, ValueError), open(self.directory + "/acknowledged") as file:
            return int(file.read())
        return 0

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, after: Optional[int] = None, limit: int = 1000) -> Iterator[Record]:
        """At most `limit` records with numbers above `after` (None: above the last acknowledged one), in order.

        An `after` that this spool never gave reads it from its beginning.
        """
        after = self.acknowledged() if after is None else after
        if after > self.last():
            after = 0
        segments = self._segments()
        ends: List[float] = [first for first, _ in segments[1:]]
        for (_, segment), end in zip(segments, [*ends, float("inf")]):
            if end <= after + 1:
                continue
            for record in _records(segment, after):
                if limit <= 0:
                    return
                limit -= 1
                yield record

    def last(self) -> int:
        """The number of the last record that was ever appended, or 0."""
        segments = self._segments()
        if not segments:
            return 0
        first, segment = segments[-1]
        return max(first - 1, _last_number(segment))

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for _, segment in self._segments():
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(segment).st_size
        return total

    def sync(self) -> None:
        """What was appended so far, by any process, survives a power cut from here on."""
        with contextlib.suppress(OSError), self._locked():
            self._sync_tail()

    # -- the directory ---------------------------------------------------------------------------------------------

    def _segments(self) -> List[Tuple[int, str]]:
        try:
            names = sorted(name for name in os.listdir(self.directory) if name.endswith(SUFFIX))
        except FileNotFoundError:
            return []
        return [(int(name[: -len(SUFFIX)]), f"{self.directory}/{name}") for name in names if name[: -len(SUFFIX)].isdigit()]

    def _sync_tail(self) -> None:
        for _, segment in self._segments()[-2:]:
            descriptor = os.open(segment, os.O_WRONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        descriptor = os.open(self.directory + "/lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _number(line: bytes) -> Optional[int]:
    """The number of a whole record, or None: a torn line, or zeroes that a power cut left."""
    if not line.endswith(b"\n"):
        return None
    try:
        return int(json.loads(line)["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def _last_number(segment: str) -> int:
    """The number of the last whole record of a segment, or 0; reads only its end."""
    with contextlib.suppress(FileNotFoundError), open(segment, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * MAX_RECORD_BYTES))
        numbers = (_number(line) for line in reversed(file.readlines()))
        return next((number for number in numbers if number is not None), 0)
    return 0


def _lost(record: Record) -> int:
    """How many losses it is when this record goes."""
    return int(record["data"].get("lost", 1)) if record["kind"] == "log" else 1


def _records(segment: str, after: int) -> Iterator[Record]:
    """The whole records of a segment above `after`; none when it was dropped meanwhile."""
    try:
        with open(segment, "rb") as file:
            for line in file:
                number = _number(line)
                if number is None:
                    return
                if number > after:
                    yield json.loads(line)
    except FileNotFoundError:
        return
