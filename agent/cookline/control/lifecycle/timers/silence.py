"""For how long a host's agent has been silent, counted only while somebody listened.

Silence grows by the time between two looks in vain, and by at most half of what makes an instance lost: a controller that was
down, suspended or stopped has not listened, and at least three looks must have been in vain. It is kept in memory alone: one
that has just started knows of no silence yet. The store's times are compared with each other only, so no clock that is set
makes anybody silent.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookline.control.lifecycle.collect import Collected
    from cookline.control.lifecycle.timers.clock import Clock
    from cookline.control.store.instances import Instance


@dataclass(frozen=True)
class Heard:
    """silent     seconds
    reachable  the host answered the last look, its agent or not; None before the first one
    looked     when that was, by Clock.elapsed
    beat       the agent's last sign of life that we know of, as the store has it
    """

    silent: float = 0.0
    reachable: bool | None = None
    looked: float | None = None
    beat: float | None = None


class Silence:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[str, Heard] = {}
        self._lock = threading.Lock()

    def of(self, instance_id: str) -> Heard:
        with self._lock:
            return self._heard.get(instance_id, Heard())

    def look(self, instance: Instance, collected: Collected, keepalive: float) -> None:
        """One look at a host has ended; `instance` as the store has it afterwards, `keepalive` what makes it lost, in s."""
        now = self._clock.elapsed()
        with self._lock:
            before = self._heard.get(instance.id, Heard())
            heard = replace(before, looked=now, beat=instance.heartbeat)
            if collected.link == "answered":
                heard = replace(heard, reachable=True)
            elif collected.link == "silent":
                heard = replace(heard, reachable=False)
            if collected.link == "answered" and self._lives(instance, before, keepalive):
                heard = replace(heard, silent=0.0)
            elif collected.link != "refused":
                passed = 0.0 if before.looked is None else now - before.looked
                heard = replace(heard, silent=before.silent + min(passed, keepalive / 2))
            self._heard[instance.id] = heard

    def _lives(self, instance: Instance, before: Heard, keepalive: float) -> bool:
        """Whether the agent gave a new sign of life. A host that has no agent lives when it answers."""
        if instance.heartbeat is None:
            return True
        # what an agent that has died left in its spool is news, but not of its life
        return instance.heartbeat != before.beat and (instance.heartbeat_age(self._clock.now()) or 0.0) < keepalive

    def anybody(self) -> bool:
        """Whether any host at all answered when it was last looked at."""
        with self._lock:
            return any(heard.reachable for heard in self._heard.values())

    def forget(self, instance_id: str) -> None:
        """Begin anew: somebody is at work on the instance."""
        with self._lock:
            self._heard.pop(instance_id, None)

    def keep(self, instance_ids: Collection[str]) -> None:
        """These are looked at; who is not will begin anew."""
        with self._lock:
            self._heard = {each: heard for each, heard in self._heard.items() if each in instance_ids}
