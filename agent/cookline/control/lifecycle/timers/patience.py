"""How soon the same is tried again with one instance: ever more seldom, until it was calm for long enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.scene import Scene
    from cookline.control.store.instances import Instance


@dataclass(frozen=True)
class Patience:
    """`kind` of the timer that remembers; `longest` wait between two tries, s. Twice that without a try is calm."""

    kind: str
    longest: float

    def tried(self, scene: Scene, instance: Instance, first: float) -> None:
        """It is tried now; the next try waits `first` s, and twice as long each time."""
        self.calm_down(scene, instance)
        times = scene.store.timers.get(instance.id, self.kind).data.get("times", 0)
        seconds = min(first * 2.0 ** min(times, 20), self.longest)
        scene.store.timers.set(instance.id, self.kind, scene.now + seconds, times=times + 1, at=scene.now)

    def holds(self, scene: Scene, instance: Instance) -> bool:
        return scene.store.timers.get(instance.id, self.kind).holds(scene.now, self.longest)

    def calm_down(self, scene: Scene, instance: Instance) -> None:
        """Begin anew when the last try was long ago."""
        if scene.now - scene.store.timers.get(instance.id, self.kind).data.get("at", scene.now) > 2 * self.longest:
            scene.store.timers.clear(instance.id, self.kind)
