"""One run at a time on each instance: who is next, and which waiting configure a newer one makes needless."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookline.control.store.runs import Runs


class Turns:
    """Claims are unique rows of the store; threads of this process that wait for one are woken when it is released."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._released = threading.Condition()

    @contextmanager
    def turn(self, instance_id: str, run_id: str) -> Iterator[None]:
        """The run's turn on the instance; waits for it."""
        with self._released:
            self._released.wait_for(lambda: self._runs.claim(instance_id, run_id))
        try:
            yield
        finally:
            self._runs.release(instance_id, run_id)
            with self._released:
                self._released.notify_all()


def supersede(runs: Runs, instance_id: str, newer: str, snapshot: int) -> list[str]:
    """End every configure of the instance that waits and has not begun: run `newer` brings everything that it would have,
    as it brings `snapshot` or a later one, and a configure brings the whole of what it is given.

    Returns the ids of the ended runs.
    """
    ended = []
    for run in runs.waiting(instance_id):
        if run.event == "configure" and run.apply and run.started is None and run.id != newer:
            reason = f"covered by snapshot {snapshot}, a newer snapshot than it waited with; run {newer} brings it"
            if runs.supersede(run.id, reason):
                ended.append(run.id)
    return ended
