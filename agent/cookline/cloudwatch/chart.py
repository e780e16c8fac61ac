"""A small chart for a terminal, from the datapoints of GetMetricStatistics.

cpu_user of app1  Percent                      now 15.3, highest 100
100 ┤   ▁▃▅▇███▇▅▃                      ▃▅▆▇██▇▆▄▁
 75 ┤ ▃▆███████████▅▂                ▂▅███████████▇▄
 50 ┤████████████████▇▄▁          ▁▄▇████████████████▅▂
 25 ┤███████████████████▆▄   ▁▁▂▄▆█████████████████████▇▅▃▁▁▁▁▁▃▅
  0 └┬─────────┬─────────┬─────────┬─────────┬─────────┬─────────
     08:00     08:10     08:20     08:30     08:40     08:50
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cookline.cloudwatch.statistics import SIMPLE

# Eighths of a row, from empty to full.
_BLOCKS = " ▁▂▃▄▅▆▇█"
# A series at zero still shows that it was measured.
_MEASURED = 1
# Columns that one point may take.
_WIDEST = 6
# Steps between the ticks of the time axis, seconds.
_TIME_STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400)
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

Point = tuple[float, float]


def points_of(datapoints: Sequence[Mapping[str, Any]], statistic: str = "Average") -> list[Point]:
    """(epoch second, value) pairs in order, out of boto3's Datapoints or the store's own (Timestamp as datetime or number).

    >>> points_of([{"Timestamp": 60, "Average": 2.0}, {"Timestamp": 0, "Average": 1.0}])
    [(0.0, 1.0), (60.0, 2.0)]
    """
    found = []
    for each in datapoints:
        at = each["Timestamp"]
        value = each[statistic] if statistic in SIMPLE else each["ExtendedStatistics"][statistic]
        found.append((float(at.timestamp() if isinstance(at, datetime.datetime) else at), float(value)))
    return sorted(found)


def chart(
    points: Sequence[Point],
    title: str = "",
    unit: str = "None",
    width: int = 72,
    *,
    height: int = 4,
    period: int = 60,
    timezone: datetime.tzinfo | None = None,
) -> list[str]:
    """The lines of a chart at most `width` characters wide, `height` rows (two at least) and three more lines tall.

    points    (epoch second, value), in order
    unit      CloudWatch's unit; Percent fixes the scale at 0 to 100
    period    seconds between two points; a longer pause is drawn as a gap
    timezone  of the time axis; None is the machine's own
    """
    points = [point for point in points if math.isfinite(point[1])]
    if not points:
        return [_title(title, unit, "no datapoints", width)]
    height = max(2, height)
    values = [value for _, value in points]
    low, high = _range(values, unit, height)
    labels = [shown(low + (high - low) * row / height) for row in range(height + 1)]
    margin = max(len(label) for label in labels)
    room = max(1, width - margin - 2)
    means = _means(points, room, period)
    wide = min(_WIDEST, room // len(means))
    columns = [mean for mean in means for _ in range(wide)]
    lines = [_title(title, unit, f"now {shown(values[-1])}, highest {shown(max(values))}", width)]
    for row in reversed(range(height)):
        cells = "".join(_cell(value, low, high, row, height) for value in columns)
        lines.append(f"{labels[row + 1]:>{margin}} ┤{cells}".rstrip())
    line, times = _axis(points, len(columns), wide, timezone)
    return [*lines, f"{labels[0]:>{margin}} └{line}", f"{'':{margin}}  {times}"]


def shown(value: float) -> str:
    """A number in at most six characters.

    >>> [shown(each) for each in (0, 0.254, 12.5, 100, 1536, 4_100_000_000)]
    ['0', '0.25', '12.5', '100', '1.5k', '4.1G']
    """
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.1f}".removesuffix(".0") + letter
    text = f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _title(title: str, unit: str, summary: str, width: int) -> str:
    left = f"{title}  {unit}".strip() if unit != "None" else title
    gap = max(2, width - len(left) - len(summary))
    return f"{left}{' ' * gap if left else ''}{summary}"[:width].rstrip()


def _range(values: Sequence[float], unit: str, height: int) -> tuple[float, float]:
    """The values at the lower and the upper edge: round numbers, and zero between them."""
    lowest, highest = min(0.0, *values), max(0.0, *values)
    if highest - lowest < 1e-300 or (unit == "Percent" and lowest == 0 and highest <= 100):
        return 0.0, 100.0 if unit == "Percent" else float(height)
    step = _rounded((highest - lowest) / height)
    while True:
        low = math.floor(lowest / step) * step
        if low + step * height >= highest:
            return low, low + step * height
        step = _rounded(step * 1.01)


def _rounded(step: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= step * (1 - 1e-9)), 10 * power)


def _means(points: Sequence[Point], width: int, period: int) -> list[float | None]:
    """At most `width` values, each the mean of what falls into its share of the time; None where nothing was measured."""
    first, last = points[0][0], points[-1][0]
    count = min(width, round((last - first) / period) + 1)
    sums: list[list[float]] = [[] for _ in range(count)]
    for at, value in points:
        index = round((at - first) / (last - first) * (count - 1)) if last > first else 0
        sums[index].append(value)
    return [sum(each) / len(each) if each else None for each in sums]


def _cell(value: float | None, low: float, high: float, row: int, height: int) -> str:
    """The block of one column in one row, row 0 at the bottom."""
    if value is None:
        return " "
    eighths = max(_MEASURED, round((value - low) / (high - low) * height * 8))
    return _BLOCKS[max(0, min(8, eighths - row * 8))]


def _axis(points: Sequence[Point], columns: int, wide: int, timezone: datetime.tzinfo | None) -> tuple[str, str]:
    """The line under the columns with its ticks, and the times below them."""
    first, last = points[0][0], points[-1][0]
    line, times = ["─"] * columns, ""
    span = max(last - first, 1.0)
    # a time of five characters needs room for ten
    step = next((each for each in _TIME_STEPS if each * columns >= span * 10), _TIME_STEPS[-1])
    form = "%H:%M:%S" if step < 60 and last > first else "%H:%M" if step < 86400 else "%d %b"
    shift = _offset(first, timezone)
    at = math.ceil((first + shift) / step) * step - shift
    while at <= last:
        column = round((at - first) / span * (columns - wide))
        if not times or column > len(times):
            line[column] = "┬"
            times = times.ljust(column) + datetime.datetime.fromtimestamp(at, timezone).strftime(form)
        at += step
    return "".join(line), times


def _offset(at: float, timezone: datetime.tzinfo | None) -> float:
    """Seconds that the clocks of the zone are ahead of UTC: ticks fall on round times of the place."""
    moment = datetime.datetime.fromtimestamp(at, timezone)
    offset = moment.utcoffset() if timezone is not None else moment.astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
