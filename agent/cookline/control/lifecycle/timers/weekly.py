"""Time-based instances: started and stopped by the hours of their schedule (features O32).

What the schedule said last is remembered, and only a change of it is acted on: who starts such an instance outside of its
hours, or stops it within them, is not contradicted before the next change. SCHEDULE timers are due at the last look.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.stack.weekly import hours_on

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.scene import Scene
    from cookline.control.stack.models import Schedule
    from cookline.control.store.instances import Instance

SCHEDULE = "schedule"
STARTABLE = frozenset({"stopped", "registered", "start_failed"})
STOPPABLE = frozenset({"online", "setup_failed", "connection_lost"})


def check(scene: Scene) -> list[Command]:
    timed = [each for each in scene.instances if scene.definition(each).schedule is not None and not scene.busy(each)]
    starting = [each for each in timed if _turns(scene, each, on=True) and each.state in STARTABLE]
    stopping = [each for each in timed if _turns(scene, each, on=False) and each.state in STOPPABLE]
    for instance in timed:
        scene.store.timers.set(instance.id, SCHEDULE, scene.now, on=_wanted(scene, instance))
    commands = []
    if starting:
        commands.append(scene.command("start", starting, "its hours of the schedule begin", "auto-scaling"))
    if stopping:
        commands.append(scene.command("stop", stopping, "its hours of the schedule are over", "auto-scaling"))
    return commands


def is_on(schedule: Schedule, at: float) -> bool:
    """Whether the schedule wants the instance at a time of the epoch; days and hours are UTC's."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.hour in hours_on(schedule, moment.weekday())


def next_change(schedule: Schedule, at: float) -> float | None:
    """When the schedule next says something else than it does at `at`; None for one that never does."""
    wanted = is_on(schedule, at)
    hour = at - at % 3600
    return next((then for n in range(1, 7 * 24 + 1) if is_on(schedule, then := hour + n * 3600) != wanted), None)


def _wanted(scene: Scene, instance: Instance) -> bool:
    schedule = scene.definition(instance).schedule
    return schedule is not None and is_on(schedule, scene.now)


def _turns(scene: Scene, instance: Instance, *, on: bool) -> bool:
    """Whether the schedule says `on` now, and has said something else since the last look (also while no server ran)."""
    if _wanted(scene, instance) is not on:
        return False
    looked = scene.store.timers.get(instance.id, SCHEDULE)
    if looked.data.get("on") is not on:
        return True
    schedule = scene.definition(instance).schedule
    change = next_change(schedule, looked.due) if schedule is not None else None
    return change is not None and change <= scene.now
