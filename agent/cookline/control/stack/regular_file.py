"""Opening what should be a file: neither a folder, nor a FIFO that blocks, nor something endless."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """At most `limit` + 1 bytes of the file, and its status when it was opened. Raises OSError, `strerror` is a sentence."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:  # NUL in the path
        raise OSError(0, str(error)) from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "is not a file")
        parts, left = [], limit + 1
        while left > 0 and (part := os.read(handle, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts), status
    finally:
        os.close(handle)
