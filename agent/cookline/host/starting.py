"""Services that have just been started: whether they come to rest, or end because of what they found."""

from __future__ import annotations

import time
from typing import Any

from cookline.errors import ResourceError
from cookline.host import processes, units
from cookline.host.system import System

# systemctl returns as soon as such a service's program has begun; one that finds a mistake in its configuration or a port taken
# ends within GRACE_SECONDS. It is not waited for longer than until all its processes have slept for REST_SECONDS on end.
STARTED_AT_ONCE = ("simple", "exec", "idle")
GRACE_SECONDS = 0.5
REST_SECONDS = 0.15
POLL_SECONDS = 0.01


def may_go_on(host: System, verb: str, name: str) -> bool:
    """Whether a start need not be waited for at once, as the run's engine will ask for what came of it."""
    return host.afterwards.unsettled is not None and verb in ("start", "enable") and name.endswith(".service")


def watch(host: System, name: str, timeout: float) -> None:
    """See to it that a service comes up and to rest: now, or when the run's engine asks for it.

    Raises ResourceError when it does not.
    """
    unit = units.in_memory(host, units.real_name(host, name))
    if unit is None or not unit.path or not unit.name.endswith(".service"):
        return
    started = Started(host, name, unit.path, timeout)
    if host.afterwards.unsettled is None:
        started.settle()
    else:
        host.afterwards.unsettled.append(started.settle)


class Started:
    """Watched from the moment at which it is made. `path` is the unit's in D-Bus."""

    def __init__(self, host: System, name: str, path: str, timeout: float) -> None:
        self.host, self.name, self.path = host, name, path
        self.since = time.monotonic()
        self.deadline, self.patience = self.since + GRACE_SECONDS, self.since + timeout
        self.main = 0
        self.seen: processes.Activity = {}
        self._look()

    def settle(self) -> None:
        """Wait until it is up and has come to rest. Raises ResourceError when it does not come up, or has ended."""
        units.forget(self.host)
        while self._is_starting() and time.monotonic() < self.patience:
            time.sleep(POLL_SECONDS)
        if self._state() != "active" or self._property("Service", "Type") not in STARTED_AT_ONCE:
            return
        while self._look() < min(self.deadline, self.since + REST_SECONDS):
            if not self.seen and self._state() != "active":
                return
            time.sleep(POLL_SECONDS)
        self._state()

    def _property(self, interface: str, name: str) -> Any:
        return units.property_of(self.host, self.path, interface, name)

    def _is_starting(self) -> bool:
        """Whether systemd has a job for it, or has not heard yet that it is up."""
        number, _ = self._property("Unit", "Job")
        return bool(number) or self._state() == "activating"

    def _look(self) -> float:
        self.main = self.main or int(self._property("Service", "MainPID"))
        now = processes.activity(self.main) if self.main else {}
        if now != self.seen or not processes.asleep(now):
            self.seen, self.since = now, time.monotonic()
        return time.monotonic()

    def _state(self) -> str:
        """Its active state. Raises ResourceError when it has failed, or is about to be started again by systemd."""
        active, sub = (self._property("Unit", each) for each in ("ActiveState", "SubState"))
        if active == "failed" or sub == "auto-restart":
            status = self._property("Service", "ExecMainStatus")
            words = units.last_words(self.host, self.name)
            raise ResourceError(
                f"{self.name} was started but did not stay up: its program ended with status {status}{words}",
                hint=f"journalctl -u {self.name}",
            )
        return str(active)
