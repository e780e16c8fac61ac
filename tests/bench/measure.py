"""Two things in turn, A B A B .., so that a machine whose speed drifts does not favour one of them."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.hosts import LabHost


def in_turn(things: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each thing in each round; one round before them is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for number in range(rounds + 1):
        for name, thing in things.items():
            begun = time.perf_counter()
            thing()
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def table(title: str, seconds: Mapping[str, list[float]], against: str) -> None:
    """Median, least and most in milliseconds, and the median of the ratios round by round."""
    print(f"\n{title}")
    print(f"  {'':<58}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, seconds[against], strict=True))
        figures = (statistics.median(values), min(values), max(values))
        print(f"  {name:<58}" + "".join(f"{value * 1000:>9.1f}" for value in figures) + f"{ratio:>8.2f}")


def cpu_seconds() -> float:
    """User and system time of this process, its threads and its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def hosts_cpu_seconds(host: LabHost) -> float:
    """CPU that all processes of a host have used, by its control group."""
    for directory in host.provider.faults(host.name).machine.group.directories:
        if (directory / "cpuacct.usage").exists():
            return int((directory / "cpuacct.usage").read_text()) / 1e9
        if (directory / "cpu.stat").exists():
            return int((directory / "cpu.stat").read_text().split()[1]) / 1e6
    return 0.0


def busy_cpu_seconds() -> float:
    """CPU that all processes of this machine have used."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, interrupts, soft, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def resident_megabytes() -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def memory_kilobytes(name: str) -> int:
    """A line of /proc/meminfo."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))
