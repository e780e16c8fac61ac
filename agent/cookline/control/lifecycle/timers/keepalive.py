"""Instances whose agent has fallen silent: lost, healed, set up again when they return (features O34 to O36).

A host that comes and goes must not keep all others configuring: each time that an instance is lost again, the time doubles
for which it is left alone before it is taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.states import move
from cookline.control.lifecycle.timers.patience import Patience

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.scene import Scene
    from cookline.control.lifecycle.timers.silence import Silence
    from cookline.control.store.instances import Instance

# The first wait is the stack's keepalive; after some doubling an instance is tried once an hour, for as long as it takes.
PATIENCE = Patience("hold", longest=3600.0)
# States in which an agent is expected to beat.
BEATING = frozenset({"online", "setup_failed"})


def check(scene: Scene, silence: Silence) -> list[Command]:
    lost = [each for each in scene.instances if each.state in BEATING and _is_silent(scene, silence, each)]
    for instance in lost:
        _lose(scene, instance)
    waiting = [
        each for each in scene.instances if each not in lost and not scene.busy(each) and not PATIENCE.holds(scene, each)
    ]
    returned = [each for each in waiting if each.state == "connection_lost" and silence.of(each.id).reachable]
    ill = [each for each in waiting if each not in returned and _wants_healing(scene, silence, each)]
    if not silence.anybody():
        ill = _first_alone(scene, ill)
    for instance in (*returned, *ill):
        PATIENCE.tried(scene, instance, scene.stack.keepalive)
        silence.forget(instance.id)
    commands = _tell_the_others(scene, lost)
    if returned:
        commands.append(scene.command("setup", returned, f"{_names(returned)} can be reached again", "keepalive"))
    # each for itself: one that does not come up must not keep the others waiting
    return commands + [scene.command("heal", [each], f"{each.name} was lost", "auto-healing") for each in ill]


def heals(scene: Scene, instance: Instance) -> bool:
    """Whether its provider can, and every one of its layers wants it."""
    layers = scene.definition(instance).layers
    return scene.can_start(instance) and all(scene.stack.layers[layer].auto_heal for layer in layers)


def _is_silent(scene: Scene, silence: Silence, instance: Instance) -> bool:
    return silence.of(instance.id).silent >= scene.stack.keepalive


def _lose(scene: Scene, instance: Instance) -> None:
    why = f"nothing was heard of its agent for {scene.stack.keepalive / 60:g} min"
    before = move(scene.store, instance.id, "connection_lost", why=why)
    scene.dispatcher.progress.tell(instance.name, "state", state="connection_lost", before=before)
    PATIENCE.calm_down(scene, instance)


def _tell_the_others(scene: Scene, lost: list[Instance]) -> list[Command]:
    """One configure for all that left, on those that stay."""
    left = [each for each in lost if each.state == "online"]
    stay = [each for each in scene.instances if each.state == "online" and each not in lost]
    return [scene.command("configure", (), f"{_names(left)} fell silent", "keepalive")] if left and stay else []


def _wants_healing(scene: Scene, silence: Silence, instance: Instance) -> bool:
    """Lost and still silent; or the last healing did not get it up."""
    if instance.state == "connection_lost":
        return _is_silent(scene, silence, instance) and heals(scene, instance)
    if instance.state != "start_failed" or instance.last_run is None:
        return False
    command = scene.store.runs.command(scene.store.runs.run(instance.last_run).command_id)
    return command.kind == "heal" and heals(scene, instance)


def _first_alone(scene: Scene, ill: list[Instance]) -> list[Instance]:
    """Nobody answers at all, which may well be this machine's own network: one after the other, until one does."""
    return [] if any(scene.busy(each) for each in scene.instances) else ill[:1]


def _names(instances: list[Instance]) -> str:
    return ", ".join(each.name for each in instances)
