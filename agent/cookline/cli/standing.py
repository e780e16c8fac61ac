"""Why each instance is in its state, and what the timers will make of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cookline.cli.render.text import age

if TYPE_CHECKING:
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store

TROUBLE = frozenset({"connection_lost", "setup_failed", "start_failed", "stop_failed"})


def why(store: Store, instance: Instance, definition: Any, now: float) -> str:
    """Sentences, "" where there is nothing to say: what brought it here, who did, what comes next."""
    told = [_reason(instance), _by(store, instance), _held(store, instance, now), planned(definition, now)]
    return "; ".join(part for part in told if part)


def planned(definition: Any, now: float) -> str:
    """What starts and stops it, where nobody has to."""
    if definition.schedule is None:
        return "started and stopped by load" if definition.load else ""
    from cookline.control.lifecycle.timers.weekly import is_on, next_change

    word, then = "on" if is_on(definition.schedule, now) else "off", next_change(definition.schedule, now)
    return f"schedule: {word}" + (f" until {time.strftime('%a %H:%M', time.gmtime(then))} UTC" if then else "")


def scaling(store: Store, stack_id: str, stack: Any, now: float) -> list[str]:
    """One line for each layer that scales."""
    return [_layer(store, stack_id, name, layer.scaling, now) for name, layer in stack.layers.items() if layer.scaling]


def _reason(instance: Instance) -> str:
    if instance.why:
        return instance.why
    return (instance.last_reason or "") if instance.state in TROUBLE else ""


def _by(store: Store, instance: Instance) -> str:
    """The command for it behind its last run, where no person gave it; or who stopped it."""
    if instance.last_run is None:
        return ""
    record = store.runs.command(store.runs.run(instance.last_run).command_id)
    command = record.options["command"]
    if command.get("initiated_by") and command["comment"] and instance.name in (command["on"] or "").split(","):
        return f"{record.user}: {command['comment']}"
    return f"stopped by {record.user}" if instance.state == "stopped" and instance.stopped_on_purpose else ""


def _held(store: Store, instance: Instance, now: float) -> str:
    from cookline.control.lifecycle.timers.keepalive import PATIENCE

    timer = store.timers.get(instance.id, PATIENCE.kind)
    if instance.state not in ("connection_lost", "start_failed") or not timer.holds(now, PATIENCE.longest):
        return ""
    return f"comes and goes: left alone for {age(timer.due - now)}"


def _layer(store: Store, stack_id: str, name: str, scaling: Any, now: float) -> str:
    from cookline.control.lifecycle.requests import layer_id
    from cookline.control.lifecycle.timers.load import LONGEST_IGNORE_SECONDS, SCALING, enabled

    told = []
    for word, thresholds in (("starts over", scaling.up), ("stops below", scaling.down)):
        if thresholds is not None:
            limits = ", ".join(f"{kind} {limit:g}" for kind, limit in enabled(thresholds).items()) or "nothing"
            told.append(f"{word} {limits} for {age(thresholds.wait)}")
    timer = store.timers.get(layer_id(stack_id, name), SCALING)
    if timer.data:
        told.append(f"{age(max(0.0, now - timer.data['at']))} ago {timer.data['why']}")
    if timer.holds(now, LONGEST_IGNORE_SECONDS):
        told.append(f"looks again in {age(timer.due - now)}")
    return f"layer {name} " + "; ".join(told)
