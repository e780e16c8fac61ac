"""Reads a journal aloud from a byte offset until the run has ended; closes the journal of a run that died."""

from __future__ import annotations

import os
import select
import time
from typing import BinaryIO, Optional

from cookline.host.run import journal, owed, resume
from cookline.host.run.masking import Masker

CHUNK = 1 << 16
# How soon a follower without a pipe sees new lines: half of what an eye notices.
POLL_SECONDS = 0.03
# A run that was just forked has this long to take its `alive` lock before it counts as dead.
BIRTH_SECONDS = 5.0

INTERRUPTED = "interrupted"


def follow(directory: str, output: BinaryIO, *, offset: int = 0, pipe: Optional[int] = None) -> None:
    """Write the journal from `offset` to `output`, line by line, until `run_finished`.

    `pipe` is readable when there is more (the run is this process's child); without it the file is polled.
    """
    born = time.monotonic()
    with open(directory + "/journal.ndjson", "rb") as file:
        file.seek(offset)
        rest = b""
        while True:
            awaited = resume.awaited(directory)  # asked first: who takes the marker away is alive already
            pipe = None if awaited else pipe  # its other end closes at the reboot, not at the run's end
            alive = awaited or journal.is_alive(directory)
            rest, ended = _copy(file, output, rest)
            if ended:
                return
            if (
                not alive
                and (pipe is None or _hung_up(pipe))
                and time.monotonic() - born > (0 if _begun(file) else BIRTH_SECONDS)
            ):
                close_dead(directory)
                born = time.monotonic()
                pipe = None
            elif pipe is not None:
                _wait(pipe)
            else:
                time.sleep(POLL_SECONDS)


def _copy(file: BinaryIO, output: BinaryIO, rest: bytes) -> "tuple[bytes, bool]":
    """Pass on whole lines; returns what is left of a line and whether the last event was the end."""
    ended = False
    while True:
        chunk = file.read(CHUNK)
        if not chunk:
            return rest, ended
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if lines:
            output.write(b"\n".join(lines) + b"\n")
            output.flush()
            ended = lines[-1].startswith(b'{"kind":"run_finished"')


def _begun(file: BinaryIO) -> bool:
    return os.fstat(file.fileno()).st_size > 0


def _wait(pipe: int) -> None:
    readable, _, _ = select.select([pipe], [], [], 1.0)
    if readable:
        os.read(pipe, CHUNK)


def _hung_up(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return any(flags & select.POLLHUP for _, flags in poll.poll(0))


def close_dead(directory: str) -> None:
    """Write the end that a dead run could not write: failed, interrupted, with what it still owes."""
    end = journal.last_event(directory)
    if end is not None and end.get("kind") == "run_finished":
        return
    resume.take_back(directory)
    path = directory + "/journal.ndjson"
    with open(path, "rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
    events = list(journal.read(directory))
    if events and events[-1].get("kind") == "run_finished":
        return
    run = os.path.basename(directory)
    book = journal.Journal(directory, Masker(()))
    book.sequence = int(events[-1].get("seq", -1)) + 1 if events else 0
    totals = {kind: sum(event["kind"] == kind for event in events) for kind in ("unchanged", "changed", "failed", "skipped")}
    book.write(
        {
            "kind": "run_finished",
            "run": run,
            "outcome": "failed",
            "reason": INTERRUPTED,
            "error": "the run ended without a word: its process was killed or the host lost power",
            "totals": totals,
            "owed": owed.unpaid(events),
        }
    )
    book.close()
