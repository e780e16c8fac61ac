"""One command at a time works on a host of the kitchen. A lock dies with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cookline.errors import Locked
from cookline.kitchen.record import Records


@contextlib.contextmanager
def holding(records: Records, names: Sequence[str]) -> Iterator[None]:
    """Hold the locks of these hosts. Raises Locked, with the holder, when one of them is taken."""
    if names:
        records.prepare()
    with contextlib.ExitStack() as held:
        for name in sorted({*names}):
            held.enter_context(_held(records.locks / name, name))
        yield


@contextlib.contextmanager
def _held(path: Path, name: str) -> Iterator[None]:
    descriptor = _taken(path, name)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} since {time.strftime('%H:%M:%S')}: {_command()}".encode())
        yield
    finally:
        # gone before it is free: whoever opened it meanwhile finds that it is not the file of this name any more
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _taken(path: Path, name: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace")
            os.close(descriptor)
            raise Locked(
                f"{name} is being worked on by process {holder}", hint="wait for it to end, or name other hosts"
            ) from None
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _command() -> str:
    return shlex.join(["cookline", *sys.argv[1:]])
