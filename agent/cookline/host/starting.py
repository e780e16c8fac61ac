"""Services that have just been started: whether they come to rest, or end because of what they found."""

from __future__ import annotations

import time

from cookline.errors import ResourceError
from cookline.host import processes, units
from cookline.host.system import System

# systemctl returns as soon as such a service's program has begun; one that finds a mistake in its configuration or a port taken
# ends within GRACE_SECONDS. It is not waited for longer than until all its processes have slept for REST_SECONDS on end.
STARTED_AT_ONCE = ("simple", "exec", "idle")
GRACE_SECONDS = 0.5
REST_SECONDS = 0.15
POLL_SECONDS = 0.01


def watch(host: System, name: str) -> None:
    """See to it that a service that counts as started at once comes to rest: now, or when the run's engine asks for it.

    Raises ResourceError when it ended instead.
    """
    unit = units.in_memory(host, units.real_name(host, name))
    if unit is None or not unit.path or not unit.name.endswith(".service"):
        return
    if units.property_of(host, unit.path, "Service", "Type") not in STARTED_AT_ONCE:
        return
    started = Started(host, name, unit.path)
    if host.afterwards.unsettled is None:
        started.settle()
    else:
        host.afterwards.unsettled.append(started.settle)


class Started:
    """Watched from the moment at which it is made. `path` is the unit's in D-Bus."""

    def __init__(self, host: System, name: str, path: str) -> None:
        self.host, self.name, self.path = host, name, path
        self.main = int(units.property_of(host, path, "Service", "MainPID"))
        self.since = time.monotonic()
        self.deadline = self.since + GRACE_SECONDS
        self.seen = processes.activity(self.main)

    def settle(self) -> None:
        """Wait until it has come to rest. Raises ResourceError when it ended instead."""
        while self._look() < min(self.deadline, self.since + REST_SECONDS):
            if not self.seen and self._state() != "active":
                return
            time.sleep(POLL_SECONDS)
        self._state()

    def _look(self) -> float:
        now = processes.activity(self.main)
        if now != self.seen or not processes.asleep(now):
            self.seen, self.since = now, time.monotonic()
        return time.monotonic()

    def _state(self) -> str:
        """Its active state. Raises ResourceError when it has failed, or is about to be started again by systemd."""
        active, sub = (units.property_of(self.host, self.path, "Unit", each) for each in ("ActiveState", "SubState"))
        if active == "failed" or sub == "auto-restart":
            status = units.property_of(self.host, self.path, "Service", "ExecMainStatus")
            words = units.last_words(self.host, self.name)
            raise ResourceError(
                f"{self.name} was started but did not stay up: its program ended with status {status}{words}",
                hint=f"journalctl -u {self.name}",
            )
        return str(active)
