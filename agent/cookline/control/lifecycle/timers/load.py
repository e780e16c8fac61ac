"""Load-based layers: instances are started and stopped by what the layer's agents measured (features O33).

Looked at are whole minutes that every agent has had the time to tell of. Each of the minutes of `wait` must say the same; one
without data blocks, and so does an instance of the layer that comes or goes. The metrics are stored under the layer's id, so
each value is an average over its instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.requests import layer_id
from cookline.control.lifecycle.states import MOVING

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.scene import Scene
    from cookline.control.stack.models import Scaling, Thresholds
    from cookline.control.store.instances import Instance

SCALING = "scaling"
# A sample is collected within a minute of being taken, over a connection that takes its time.
LAG_SECONDS = 90
LONGEST_IGNORE_SECONDS = 6000.0
STARTABLE = frozenset({"stopped", "registered"})

# averages(namespace, metric, layer's id, start, end, period) -> {start of a period: average}; times of the epoch, in s
Averages = Callable[[str, str, str, int, int, int], Mapping[int, float]]
Read = Callable[[str], Mapping[int, float]]
# One period: threshold's name to value.
Reading = Mapping[str, float]


def check(scene: Scene, averages: Averages) -> list[Command]:
    commands: list[Command] = []
    for name, layer in scene.stack.layers.items():
        if layer.scaling is not None:
            commands += _layer(scene, name, layer.scaling, averages)
    return commands


def _layer(scene: Scene, name: str, scaling: Scaling, averages: Averages) -> list[Command]:
    subject = layer_id(scene.stack_id, name)
    pool = [each for each in scene.instances if scene.definition(each).load and name in scene.definition(each).layers]
    if any(each.state in MOVING or scene.busy(each) for each in pool):
        return []
    if scene.store.timers.get(subject, SCALING).holds(scene.now, LONGEST_IGNORE_SECONDS):
        return []
    if scaling.up is not None and (why := _exceeded(scene, subject, scaling.up, averages)):
        idle = [each for each in pool if each.state in STARTABLE]
        return _change(scene, name, "start", idle[: scaling.up.instances], scaling.up, why)
    if scaling.down is not None and (why := _below(scene, subject, scaling.down, averages)):
        running = [each for each in reversed(pool) if each.state == "online"]
        return _change(scene, name, "stop", running[: scaling.down.instances], scaling.down, why)
    return []


def _change(
    scene: Scene, layer: str, kind: str, instances: Sequence[Instance], thresholds: Thresholds, why: str
) -> list[Command]:
    if not instances:
        return []
    subject = layer_id(scene.stack_id, layer)
    scene.store.timers.set(subject, SCALING, scene.now + thresholds.ignore, why=f"{kind}: {why}", at=scene.now)
    return [scene.command(kind, instances, f"layer {layer}: {why}", "auto-scaling")]


def _exceeded(scene: Scene, subject: str, thresholds: Thresholds, averages: Averages) -> str:
    """Which threshold every period exceeds, as a sentence; "" for none."""
    periods = _readings(scene, subject, thresholds, averages)
    for name, limit in enabled(thresholds).items():
        if periods and all(period[name] > limit for period in periods):
            return f"{name} was over {limit:g} for {thresholds.wait / 60:g} min"
    return ""


def _below(scene: Scene, subject: str, thresholds: Thresholds, averages: Averages) -> str:
    """Down goes only a layer that is below all of its thresholds: one that is idle by one measure may be busy by another."""
    periods, limits = _readings(scene, subject, thresholds, averages), enabled(thresholds)
    if limits and periods and all(period[name] < limit for period in periods for name, limit in limits.items()):
        told = ", ".join(f"{name} below {limit:g}" for name, limit in limits.items())
        return f"{told} for {thresholds.wait / 60:g} min"
    return ""


def enabled(thresholds: Thresholds) -> dict[str, float]:
    """Those that are not off."""
    return {name: getattr(thresholds, name) for name in MEASURES if getattr(thresholds, name) >= 0}


def _readings(scene: Scene, subject: str, thresholds: Thresholds, averages: Averages) -> Sequence[Reading]:
    """Every period of `wait`, oldest first; nothing when one of them lacks one of the values."""
    metrics = scene.stack.metrics
    period = max(60, int(metrics.period))
    end = int(scene.now - LAG_SECONDS) // period * period
    count = max(1, round(thresholds.wait / period))
    starts = [end - n * period for n in range(count, 0, -1)]

    def read(metric: str) -> Mapping[int, float]:
        return averages(metrics.namespace, metric, subject, starts[0], end, period)

    values = {name: MEASURES[name](read) for name in enabled(thresholds)}
    readings = [{name: found[start] for name, found in values.items() if start in found} for start in starts]
    return readings if all(len(reading) == len(values) for reading in readings) else []


def _cpu(read: Read) -> Mapping[int, float]:
    return {start: 100.0 - idle for start, idle in read("cpu_idle").items()}


def _memory(read: Read) -> Mapping[int, float]:
    """The two are averaged over the same hosts, so their quotient is the part of the whole layer's memory."""
    used, total = read("memory_used"), read("memory_total")
    return {start: 100.0 * used[start] / total[start] for start in used.keys() & total.keys() if total[start] > 0}


def _load(read: Read) -> Mapping[int, float]:
    return read("load_1")


MEASURES: Mapping[str, Callable[[Read], Mapping[int, float]]] = {"cpu": _cpu, "memory": _memory, "load": _load}
