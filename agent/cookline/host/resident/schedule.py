"""When the daemon does what, by the clock that only runs forward."""

from __future__ import annotations

import time
from typing import Callable, Dict, Optional, Tuple

Work = Callable[[], None]


class Schedule:
    """Named pieces of work, each due at one moment. Doing one again is its own business."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: Dict[str, Tuple[float, Work]] = {}

    def after(self, seconds: float, name: str, work: Work) -> None:
        """Do `work` in so many seconds; one of the same name that waits is replaced."""
        self._due[name] = (self._clock() + seconds, work)

    def cancel(self, name: str) -> None:
        self._due.pop(name, None)

    def waits(self, name: str) -> bool:
        return name in self._due

    def wait(self) -> Optional[float]:
        """Seconds until something is due, None when nothing is."""
        if not self._due:
            return None
        return max(0.0, min(moment for moment, _ in self._due.values()) - self._clock())

    def run_due(self, run: Callable[[str, Work], None]) -> None:
        """Hand each piece that is due to `run(name, work)`, oldest first."""
        now = self._clock()
        due = sorted((moment, name) for name, (moment, _) in self._due.items() if moment <= now)
        for _, name in due:
            if name in self._due:
                run(name, self._due.pop(name)[1])


def until_aligned(period: float, identity: str, now: float) -> float:
    """Seconds until the next multiple of `period`, moved by an offset of this host's own: a fleet does not speak at once."""
    import zlib

    offset = zlib.crc32(identity.encode()) % 1000 / 1000 * period
    return period - (now - offset) % period
