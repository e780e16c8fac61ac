"""What this user's controllers have worked out and keep for the next: a cache, which may go at any time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def _directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cookline"


def recall(name: str) -> bytes | None:
    """What was kept under the name, or None."""
    try:
        return (_directory() / name).read_bytes()
    except (OSError, RuntimeError):
        return None


def keep(name: str, content: bytes) -> None:
    """For its owner alone, whole or not at all. A directory that cannot be written costs time, nothing else."""
    with contextlib.suppress(OSError, RuntimeError):
        directory = _directory()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, staged = tempfile.mkstemp(dir=directory)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(staged, directory / name)
