"""Runs a look at drift in a child process, one at a time, and hears its answer through the daemon's loop."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

# os.EX_TEMPFAIL: a run holds the host, try again later.
DEFERRED = 75
# A look at thousands of resources takes seconds; one that takes this long hangs (a dead network file system).
LONGEST_SECONDS = 600.0
# Beyond this many names everything is looked at: the pipe takes 64 KB before anybody reads.
NAMES_AT_MOST = 200
MAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")


@dataclass(frozen=True)
class Result:
    """How a look ended: `answer` of the child, or `deferred`, or an `error` in words."""

    detected_by: str
    names: Optional[List[str]]
    answer: Optional[Dict[str, Any]] = None
    deferred: bool = False
    error: str = ""


class Checker:
    """At most one child. `fileno` is readable when it has ended; then `result()` says how."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._detected_by = ""
        self._names: Optional[List[str]] = None

    @property
    def busy(self) -> bool:
        return self._process is not None

    def start(self, detected_by: str, names: Optional[Sequence[str]]) -> None:
        """Start a look; `names` None is everything. Raises OSError when no process can be made."""
        self._detected_by = detected_by
        self._names = None if names is None or len(names) > NAMES_AT_MOST else sorted(names)
        command = [sys.executable, "-I", "-S", MAIN, "check", detected_by]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(self._names).encode())
            process.stdin.close()
        self._process = process

    def fileno(self) -> int:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout.fileno()

    def result(self) -> Result:
        """Wait for the child (it has closed its output) and say how it ended."""
        assert self._process is not None and self._process.stdout is not None
        with self._process as process:
            assert process.stdout is not None
            output = process.stdout.read()
        status, self._process = process.returncode, None
        if status == DEFERRED:
            return Result(self._detected_by, self._names, deferred=True)
        with contextlib.suppress(ValueError):
            answer = json.loads(output)
            if status == 0 and isinstance(answer, dict):
                return Result(self._detected_by, self._names, answer=answer)
        error = output.decode("utf-8", "replace").strip()[-1000:] or f"it ended with status {status}"
        return Result(self._detected_by, self._names, error=error)

    def stop(self) -> None:
        """Kill the child; `result` still has to be asked for."""
        if self._process is not None:
            self._process.kill()
