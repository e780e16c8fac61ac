"""What a tool spends on the controller: its processes, those that they leave behind, and a server that works for them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

from tests.bench.measure import cpu_seconds

PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """Orphans below this process become its children, so that what they used is counted when they end."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot become the parent of orphans")
        self._before, self._known = 0.0, set[int]()

    def begin(self) -> None:
        """What runs now (hosts, a server) is not left behind by a tool; the CPU of a server of cookline counts."""
        self._known = _children()
        self._before = self._total()

    def spent(self) -> float:
        """CPU seconds since `begin` or the last call. OpenSSH's masters and the like are ended for it."""
        for process in _children() - self._known:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(process, signal.SIGTERM)
                os.waitpid(process, 0)
        total, before = self._total(), self._before
        self._before = total
        return total - before

    def _total(self) -> float:
        return cpu_seconds() + sum(_used(process) for process in self._known if "cookline.cli" in _command(process))


def _children() -> set[int]:
    return {int(word) for path in Path("/proc/self/task").glob("*/children") for word in path.read_text().split()}


def _command(process: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    return ""


def _used(process: int) -> float:
    """User and system time of a running process."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0
