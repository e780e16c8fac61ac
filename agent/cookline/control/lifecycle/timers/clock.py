"""The two clocks of the timers, in one place so that tests can turn them."""

from __future__ import annotations

import time


class Clock:
    def now(self) -> float:
        """Seconds of the epoch. May jump: an operator or NTP sets it."""
        return time.time()

    def elapsed(self) -> float:
        """Seconds of a clock that only goes forward, and stands while this machine is suspended."""
        return time.monotonic()
