"""What goes on, told live to whoever listens: host events as they come, and the dispatcher's own.

A subscriber is called as `subscriber(instance, event)`. Host events are those of protocol.EVENT_KINDS, with "run" and "command"
added. The dispatcher's own kinds:

    planned    command, kind_of (setup, ..), steps: [{"instance", "event", "run", "skip"}], rollout; instance is ""
    progress   text: what a provider or the transport does right now (booting, connecting again)
    state      state, before: the instance moved
    outcome    run, event, outcome, reason, error, totals, seconds, phase: one instance's part ended
    resuming   command, kind_of, created: an unfinished command of an earlier process is taken up; instance is ""
    batch      number, of, instances: a batch of a rollout begins; instance is ""
    gate       number, gate, passed (None: it is being asked), said; instance is "" for a gate of the whole batch
    batch_ended   number, verdict ("go on", "stop"), reason
    paused, resumed   number: the batch that waits for somebody's word
    taking_back   reason, instances: what the rollout touched goes back
    finished   command, exit_code; instance is ""
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Subscriber = Callable[[str, dict[str, Any]], None]


class Progress:
    """Subscribers are called in the thread where it happens, one event at a time, so they need no lock of their own."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._lock = threading.RLock()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Returns what ends the subscription."""
        with self._lock:
            self._subscribers.append(subscriber)
        return lambda: self._remove(subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def tell(self, instance: str, kind: str, **values: Any) -> None:
        self.pass_on(instance, {"kind": kind, **values})

    def pass_on(self, instance: str, event: dict[str, Any]) -> None:
        with self._lock:
            for subscriber in list(self._subscribers):
                try:
                    subscriber(instance, event)
                except Exception:
                    # a screen that cannot be written to must not end a run
                    self._remove(subscriber)
