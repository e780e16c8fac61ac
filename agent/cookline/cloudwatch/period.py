"""Periods and the alignment of start times, as CloudWatch has them."""

from __future__ import annotations

import math

from cookline.cloudwatch import faults

DAY = 86400
SHORT = (1, 5, 10, 20, 30)
LONGEST = DAY
MAX_DATAPOINTS = 1440


def check(period: int, at: str = "Period") -> int:
    """1, 5, 10, 20, 30 seconds or a multiple of 60 up to a day."""
    if period not in SHORT and (period < 60 or period % 60):
        raise faults.invalid(f"The parameter {at} must be 1, 5, 10, 20, 30, or a multiple of 60.")
    if period > LONGEST:
        raise faults.invalid(f"The parameter {at} must be less than or equal to {LONGEST}.")
    return period


def aligned(start: float, period: int, now: float) -> int:
    """Start of the first period: rounded down to the short period, else to a minute, 5 minutes or an hour as it ages.

    >>> aligned(3905, 10, now=4000.0), aligned(3905, 300, now=4000.0)
    (3900, 3900)
    """
    age = now - start
    grain = period if period < 60 else 60 if age <= 15 * DAY else 300 if age <= 63 * DAY else 3600
    return math.floor(start) // grain * grain


def check_datapoints(start: float, end: float, period: int) -> None:
    """GetMetricStatistics answers at most 1440 datapoints."""
    asked = math.ceil((end - start) / period)
    if asked > MAX_DATAPOINTS:
        raise faults.combination(
            f"You have requested up to {asked:,} datapoints, which exceeds the limit of {MAX_DATAPOINTS:,}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
