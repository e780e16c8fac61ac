"""A rollout while it goes on: which batch of how many, what the gates say, how much time is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cookline.cli.render.text import printable


def rollout_line(event: Mapping[str, Any]) -> str | None:
    """One line of what is told of a rollout; None for what nobody waits for."""
    kind = event.get("kind")
    if kind == "batch":
        return f"batch {int(event['number']) + 1} of {event['of']}: {', '.join(map(printable, event['instances']))}"
    if kind == "gate":
        return _gate(event)
    if kind == "batch_ended":
        return f"stops: {printable(event['reason'])}" if event.get("verdict") != "go on" else None
    if kind == "paused":
        return f"paused before batch {int(event['number']) + 1}; `cookline resume {event['command']}` lets it go on"
    if kind == "resumed":
        return "goes on"
    if kind == "taking_back":
        return f"takes back {', '.join(map(printable, event['instances']))}: {printable(event['reason'])}"
    return None


def _gate(event: Mapping[str, Any]) -> str | None:
    if event.get("passed") is None:
        return None
    word = "passed" if event["passed"] else "not passed: " + printable(event.get("said"))
    return f"gate {printable(event['gate'])}: {word}"


class Batches:
    """The head of a live tree: "batch 2 of 4, instances 4-6 of 12, gates 3 of 5, about 40 s left"."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._batch: Mapping[str, Any] = {}
        self._asked: set[tuple[Any, ...]] = set()
        self._answered: set[tuple[Any, ...]] = set()
        self._ended: list[int] = []
        self._said = ""

    def event(self, instance: str, event: Mapping[str, Any]) -> None:
        kind = event["kind"]
        if kind == "batch":
            self._began = self._began if self._began is not None else self._clock()
            self._batch, self._said = event, ""
            self._asked, self._answered = set(), set()
        elif kind == "gate":
            place = self._asked if event.get("passed") is None else self._answered
            place.add((instance, event.get("gate")))
        elif kind == "batch_ended":
            self._ended.append(int(event["number"]))
        if kind in ("paused", "taking_back", "batch_ended"):
            self._said = rollout_line(event) or ""

    def line(self) -> str:
        """Nothing before the first batch."""
        if not self._batch:
            return ""
        before, names = int(self._batch["before"]), self._batch["instances"]
        parts = [f"batch {int(self._batch['number']) + 1} of {self._batch['of']}"]
        parts.append(f"instances {before + 1}-{before + len(names)} of {self._batch['all']}")
        if self._asked:
            parts.append(f"gates {len(self._answered)} of {len(self._asked)}")
        left = self.seconds_left()
        if left is not None and not self._said:
            parts.append(f"about {left:.0f} s left")
        return ", ".join([*parts, *([self._said] if self._said else [])])

    def seconds_left(self) -> float | None:
        """From the batches that have ended; None while there is none, or nothing to wait for."""
        waiting = int(self._batch.get("of", 0)) - len(self._ended)
        if self._began is None or not self._ended or waiting <= 0:
            return None
        return (self._clock() - self._began) / len(self._ended) * waiting
