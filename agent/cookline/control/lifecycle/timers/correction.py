"""Layers with `drift: {policy: correct}`: what differs is put right by the recipes that declared it.

A host that is put right again and again is left alone in between, each time for longer. What a host says of its recipes is
believed as far as the pushed revision has them, and concerns nobody but that host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.timers.patience import Patience

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.scene import Scene
    from cookline.control.store.findings import Finding
    from cookline.control.store.instances import Instance

PATIENCE = Patience("correction", longest=3600.0)
FIRST_WAIT_SECONDS = 300.0
# A sentence of a thousand resources helps nobody.
NAMED = 3


def check(scene: Scene) -> list[Command]:
    findings = scene.store.findings.of(scene.stack_id)
    commands = []
    for instance in scene.instances:
        own = [finding for finding in findings if finding.instance_id == instance.id]
        if own and instance.state == "online" and corrects(scene, instance):
            commands += _correct(scene, instance, own)
    return commands


def corrects(scene: Scene, instance: Instance) -> bool:
    """Whether every layer of the instance wants it: where one only reports, a person decides."""
    return all(scene.stack.layers[layer].drift.policy == "correct" for layer in scene.definition(instance).layers)


def _correct(scene: Scene, instance: Instance, findings: list[Finding]) -> list[Command]:
    recipes = tuple(dict.fromkeys(recipe for each in findings if _exists(scene, recipe := str(each.data.get("recipe")))))
    if not recipes or scene.busy(instance) or PATIENCE.holds(scene, instance):
        return []
    PATIENCE.tried(scene, instance, FIRST_WAIT_SECONDS)
    named = ", ".join(each.resource for each in findings[:NAMED])
    why = named + (f" and {len(findings) - NAMED} more" if len(findings) > NAMED else "")
    return [scene.command("run", [instance], f"drift of {why}", "corrective", recipes)]


def _exists(scene: Scene, recipe: str) -> bool:
    cookbook, _, name = recipe.partition("::")
    return cookbook in scene.revision.cookbooks and name in scene.revision.cookbooks[cookbook].recipes
