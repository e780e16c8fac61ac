"""The cgroup that holds a host's processes: how they are counted, frozen and killed, on cgroup v1 and v2."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from cookline.errors import RunError

ROOT = Path("/sys/fs/cgroup")

# Hierarchies beside v1's that a host gets a group in; freezer is the one that is read and frozen. Where `unified` is mounted,
# systemd-nspawn puts the host below the group that it finds there, and without one all hosts into the same.
HIERARCHIES = ("unified", "systemd", "freezer", "cpuacct", "memory", "pids")


def unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def parent() -> Path:
    """The directory with one group for each host of every project on this machine."""
    return (ROOT if unified() else ROOT / "freezer") / "cookline"


class ControlGroup:
    def __init__(self, label: str) -> None:
        roots = [ROOT] if unified() else [ROOT / name for name in HIERARCHIES if (ROOT / name).is_dir()]
        self.directories = [root / "cookline" / label for root in roots]
        self.main = parent() / label

    def make(self) -> None:
        for directory in self.directories:
            directory.mkdir(parents=True, exist_ok=True)

    def processes(self) -> list[int]:
        """The process ids in the group and below it, as this machine numbers them."""
        found: list[int] = []
        for directory in _groups(self.main):
            with contextlib.suppress(OSError):  # a group may go while it is read
                found += [int(line) for line in (directory / "cgroup.procs").read_text().split()]
        return [pid for pid in found if pid > 0]

    def leader(self) -> tuple[int, str] | None:
        """(process id, start time) of the host's PID 1, None while there is none."""
        depth = len(_namespace_ids("self")) + 1
        for pid in self.processes():
            ids = _namespace_ids(str(pid))
            if len(ids) == depth and ids[-1] == "1" and (started := _start_time(pid)):
                return pid, started
        return None

    def freeze(self) -> None:
        """Stop every process of the group in its tracks; returns when they stand."""
        self._set_frozen(True)

    def thaw(self) -> None:
        self._set_frozen(False)

    @property
    def frozen(self) -> bool:
        try:
            if unified():
                return "frozen 1" in (self.main / "cgroup.events").read_text()
            return (self.main / "freezer.state").read_text().strip() == "FROZEN"
        except FileNotFoundError:
            return False

    def _set_frozen(self, wanted: bool) -> None:
        if not self.main.exists():
            return
        if unified():
            (self.main / "cgroup.freeze").write_text("1" if wanted else "0")
        else:
            (self.main / "freezer.state").write_text("FROZEN" if wanted else "THAWED")
        deadline = time.monotonic() + 5
        while self.frozen != wanted and time.monotonic() < deadline:
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL for all, as one: the group is frozen first, so that nothing forks or restarts meanwhile."""
        deadline = time.monotonic() + 20
        while self.processes():
            if time.monotonic() > deadline:
                raise RunError(f"processes of {self.main.name} outlive SIGKILL: {self.processes()}", hint="look at dmesg")
            self.freeze()
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.thaw()
            self._wait_empty(1.0)

    def _wait_empty(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def wait_empty(self, seconds: float) -> bool:
        """Whether the last process went within `seconds`."""
        return self._wait_empty(seconds)

    def remove(self) -> None:
        """Remove the emptied groups, and the parent that all projects share when this was its last."""
        for directory in self.directories:
            for path in [*reversed(_groups(directory)), directory.parent]:
                with contextlib.suppress(OSError):
                    path.rmdir()


def _groups(top: Path) -> list[Path]:
    """The group and all below it, parents first; groups that go while they are listed are passed over."""
    return [Path(directory) for directory, _, _ in os.walk(top)]


def _namespace_ids(process: str) -> list[str]:
    """The ids of a process in each process namespace that it is in, the outermost first."""
    with contextlib.suppress(OSError):
        for line in Path("/proc", process, "status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return line.split()[1:]
    return []


def _start_time(pid: int) -> str | None:
    with contextlib.suppress(OSError, IndexError):
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19]
    return None
