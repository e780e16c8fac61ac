"""Hours of a week, as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SPANS = {"weekdays": range(5), "weekend": range(5, 7), "daily": range(7)}
SPAN = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")


class HoursError(ValueError):
    """A span that says nothing; `span` is what was written."""

    def __init__(self, span: object) -> None:
        super().__init__("wants hours of UTC such as 8-18 (from 8:00 to 18:00) or 9")
        self.span = span


def hours_of(spans: Sequence[object]) -> frozenset[int]:
    """The hours, 0 to 23, that the spans cover. Raises HoursError.

    >>> sorted(hours_of(["8-11", "15", "22-24"]))
    [8, 9, 10, 15, 22, 23]
    """
    return frozenset(hour for span in spans for hour in _span(span))


def _span(span: object) -> range:
    parts = SPAN.fullmatch(span) if isinstance(span, str) else None
    first, last = (int(parts[1]), int(parts[2] or int(parts[1]) + 1)) if parts else (0, 0)
    if not first < last <= 24:
        raise HoursError(span)
    return range(first, last)


def hours_on(schedule: Any, weekday: int) -> frozenset[int]:
    """The hours, 0 to 23, in which a models.Schedule is on, on a day; 0 is Monday."""
    names = (DAYS[weekday], *(name for name, days in SPANS.items() if weekday in days))
    return hours_of([span for name in names for span in getattr(schedule, name)])


def automatic(schedule: Any, load: bool) -> str:
    """What starts and stops an instance, as the end of a sentence; "" for people."""
    return "by its schedule" if schedule is not None else "by the load of its layers" if load else ""
