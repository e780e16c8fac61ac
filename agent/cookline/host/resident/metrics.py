"""The sixteen metrics of OpsWorks (features O89 to O91), as datums of PutMetricData.

    cpu_idle cpu_nice cpu_steal cpu_system cpu_user cpu_waitio    percent of all CPUs' time since the last sample; sum 100
    memory_buffers memory_cached memory_free memory_total
    memory_used memory_swap                                       kilobytes (1024 bytes); memory_swap is the swap in use
    load_1 load_5 load_15                                         runnable and waiting tasks, averages of 1, 5 and 15 minutes
    procs                                                         processes

OpsWorks' manual names no units: each is published with Unit None, so the scale is a decision. Kilobytes are what the kernel,
free(1) and OpsWorks' own graphs count in. Interrupt time counts as cpu_system, so that the six parts are all there is.

Each value is published under three series, each with one dimension: InstanceId, every LayerId, StackId (reference: O90).
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

NAMESPACE = "AWS/OpsWorks"
CPU_PARTS = {
    "cpu_idle": ("idle",),
    "cpu_nice": ("nice",),
    "cpu_steal": ("steal",),
    "cpu_system": ("system", "irq", "softirq"),
    "cpu_user": ("user",),
    "cpu_waitio": ("iowait",),
}
MEMORY_PARTS = {
    "memory_buffers": "buffers",
    "memory_cached": "cached",
    "memory_free": "free",
    "memory_total": "total",
    "memory_used": "used",
}
NAMES = (*CPU_PARTS, *MEMORY_PARTS, "memory_swap", "load_1", "load_5", "load_15", "procs")

Datum = Dict[str, Any]
Series = Tuple[str, str]


class Sampler:
    """Reads the sixteen values; keeps the CPU times of the last sample, as percentages are over the time between two."""

    def __init__(self) -> None:
        self._last = self._cpu_times()

    def sample(self) -> Dict[str, float]:
        """Name -> value. The six of the CPU are missing when its clocks have not moved since the last sample."""
        import psutil

        memory = psutil.virtual_memory()
        values = self._cpu()
        values.update({name: getattr(memory, part) / 1024 for name, part in MEMORY_PARTS.items()})
        values["memory_swap"] = psutil.swap_memory().used / 1024
        values.update(zip(("load_1", "load_5", "load_15"), os.getloadavg()))
        values["procs"] = float(len(psutil.pids()))
        return values

    def _cpu(self) -> Dict[str, float]:
        now, last = self._cpu_times(), self._last
        self._last = now
        # The kernel's idle and iowait counters can step back by a tick.
        spent = {name: max(0.0, now[name] - last[name]) for name in CPU_PARTS}
        total = sum(spent.values())
        return {name: 100.0 * each / total for name, each in spent.items()} if total > 0 else {}

    @staticmethod
    def _cpu_times() -> Dict[str, float]:
        import psutil

        times = psutil.cpu_times()
        return {name: sum(getattr(times, part, 0.0) for part in parts) for name, parts in CPU_PARTS.items()}


def series(settings: Mapping[str, Any]) -> List[Series]:
    """The dimensions, (name, value), that this instance's values are published under."""
    found = [("InstanceId", settings.get("instance_id"))]
    found += [("LayerId", layer) for layer in settings.get("layers") or ()]
    found += [("StackId", settings.get("stack_id"))]
    return [(name, str(value)) for name, value in found if value]


def datums(
    values: Mapping[str, float],
    dimensions: Iterable[Series],
    timestamp: float,
    unit: Optional[str] = None,
    *,
    period: float = 60.0,
) -> List[Datum]:
    """One PutMetricData datum for each value and dimension; `timestamp` in epoch seconds, `period` between two of them.

    CloudWatch keeps single seconds only of what says that it is of high resolution, which costs money there.
    """
    resolution = {"StorageResolution": 1} if period < 60 else {}
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": dimension, "Value": identity}],
            "Timestamp": int(timestamp),
            "Value": round(value, 4),
            "Unit": unit or "None",
            **resolution,
        }
        for dimension, identity in dimensions
        for name, value in values.items()
    ]
