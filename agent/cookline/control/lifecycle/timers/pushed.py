"""Configure on everybody after a push that changed what they know of each other; see amended.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.control.lifecycle.amended import amendment, known_of

if TYPE_CHECKING:
    from cookline.control.lifecycle.command import Command
    from cookline.control.lifecycle.timers.scene import Scene

AMENDED = "amended"


def check(scene: Scene) -> list[Command]:
    now = known_of(scene.store, scene.stack, scene.stack_id)
    before = scene.store.timers.get(scene.stack_id, AMENDED).data
    if now == before:
        return []
    scene.store.timers.set(scene.stack_id, AMENDED, scene.now, **now)
    why = amendment(before, now) if before else ""
    return [scene.command("configure", (), why, "amendment")] if why and now["addresses"] else []
