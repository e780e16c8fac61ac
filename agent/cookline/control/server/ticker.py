"""Looks whether anything is due, four times a minute."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookline.control.lifecycle.timers.tick import Tick

# Schedules change with the hour and metrics with the minute; a look at a stack of 200 instances costs some milliseconds.
INTERVAL_SECONDS = 15.0


class Ticker:
    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        # never started when the server could not begin
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self.tick()
