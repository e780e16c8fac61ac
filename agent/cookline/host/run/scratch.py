"""Paths that must not outlive a run: noted before they are made, so that the run after a killed one can remove them.

`scratch` in the run's directory has the paths, each with a zero byte after it. It goes with the run's orderly end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Optional

NAME = "scratch"


class Notes:
    """The notes of one run; the file is made with the first of them."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/{NAME}"
        self._file: Optional[int] = None

    def add(self, path: str) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._file, os.fsencode(path) + b"\0")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            os.unlink(self._path)
            self._file = None


def clear(directory: str) -> None:
    """Remove what a dead run has left. Links are not followed, and what somebody else has removed is fine."""
    try:
        with open(f"{directory}/{NAME}", "rb") as file:
            paths = file.read().split(b"\0")[:-1]
    except FileNotFoundError:
        return
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)
    os.unlink(f"{directory}/{NAME}")
