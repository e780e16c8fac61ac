"""What a period's samples say: averages from the statistic set, percentiles and trimmed means from the values themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cookline.cloudwatch import faults
from cookline.cloudwatch.datum import shown

Weighted = list[tuple[float, float]]

SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
# p99 p99.9 tm90 tc90 ts90 wm98 IQM: the statistics that need the values.
_EXTENDED = re.compile(r"(?:(p|tm|tc|ts|wm)(\d{1,2}(?:\.\d{1,10})?|100)|IQM)")


@dataclass(frozen=True)
class Aggregate:
    """One period of one metric.

    timestamp  epoch seconds of the period's start
    unit       None when samples of several units were merged
    values     (value, count) pairs in rising order; None when they are not known any more
    """

    timestamp: int
    unit: str | None
    count: float
    total: float
    minimum: float
    maximum: float
    values: Weighted | None

    def statistic(self, name: str) -> float | None:
        """The value of a checked statistic name, or None when only the values could tell and they are gone.

        >>> Aggregate(0, "None", 2, 6, 2, 4, [(2.0, 1.0), (4.0, 1.0)]).statistic("Average")
        3.0
        """
        simple = _SIMPLE.get(name)
        if simple is not None:
            return simple(self)
        return None if self.values is None else _extended(name, self.values, self.count)


_SIMPLE: dict[str, Callable[[Aggregate], float]] = {
    "SampleCount": lambda each: each.count,
    "Average": lambda each: each.total / each.count,
    "Sum": lambda each: each.total,
    "Minimum": lambda each: each.minimum,
    "Maximum": lambda each: each.maximum,
}


def check_extended(name: str, at: str) -> str:
    """`name` when it is an extended statistic that this sink computes; else a Fault."""
    if not _EXTENDED.fullmatch(name):
        raise faults.invalid(f"The value {shown(name)} for parameter {at} is not supported.")
    return name


def _extended(name: str, values: Weighted, count: float) -> float:
    matched = _EXTENDED.fullmatch(name)
    if matched is None or matched[1] is None:
        return _mean(_between(values, count * 0.25, count * 0.75), values)
    kind, share = matched[1], float(matched[2]) / 100
    if kind == "p":
        return percentile(values, share * count)
    kept = _between(values, 0.0, share * count)
    if kind == "tm":
        return _mean(kept, values)
    if kind == "tc":
        return sum(weight for _, weight in kept)
    if kind == "ts":
        return sum(value * weight for value, weight in kept)
    limit = percentile(values, share * count)
    return _mean([(min(value, limit), weight) for value, weight in values], values)


def percentile(values: Weighted, rank: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `rank` samples do not exceed.

    >>> percentile([(1.0, 50.0), (2.0, 50.0)], 51)
    2.0
    """
    seen = 0.0
    for value, weight in values:
        seen += weight
        # counts are sums of floats; a share such as 0.29 * 100 is a hair above 29
        if seen >= rank * (1 - 1e-12):
            return value
    return values[-1][0]


def _between(values: Weighted, low: float, high: float) -> Weighted:
    """The samples ranked from `low` to `high`; the ones at the edges count in part."""
    kept, seen = [], 0.0
    for value, weight in values:
        part = min(seen + weight, high) - max(seen, low)
        if part > 0:
            kept.append((value, part))
        seen += weight
    return kept


def _mean(kept: Weighted, values: Weighted) -> float:
    weight = sum(each for _, each in kept)
    return sum(value * each for value, each in kept) / weight if weight else values[0][0]
