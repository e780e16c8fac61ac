"""A datum of PutMetricData, checked: what clients send becomes what the store keeps.

The checks are by hand and look at every type themselves, because this is the path of every sample of every host; the same
function serves all wire protocols, the spool of the agents and callers in process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cookline.cloudwatch import faults

MAX_DATUMS = 1000
MAX_VALUES = 150
MAX_DIMENSIONS = 30
MAX_MAGNITUDE = 2.0**360
# CloudWatch takes samples up to two weeks old and two hours ahead.
OLDEST = 14 * 86400
AHEAD = 2 * 3600

_SCALES = ("", "Kilo", "Mega", "Giga", "Tera")
UNITS = frozenset(
    ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"]
    + [
        f"{scale}{what}{per}".capitalize().replace("/s", "/S")
        for scale in _SCALES
        for what in ("Bytes", "Bits")
        for per in ("", "/Second")
    ]
)
# The order in which AWS names them in its messages.
STATISTIC_MEMBERS = ("SampleCount", "Sum", "Minimum", "Maximum")


class Datum(NamedTuple):
    """One checked sample.

    dimensions  the store's key: JSON of the sorted [name, value] pairs
    timestamp   epoch seconds, cut to `resolution` (1 or 60)
    samples     how many samples; `total` is their sum
    values      (value, count) pairs, or () when only the statistic set is known
    """

    name: str
    dimensions: str
    timestamp: int
    resolution: int
    unit: str
    samples: float
    total: float
    minimum: float
    maximum: float
    values: tuple[tuple[float, float], ...]


def parse_data(data: Any, now: float) -> list[Datum]:
    """Check all of a request's MetricData; raises the Fault of the first that is wrong.

    >>> parse_data([{"MetricName": "load_1", "Value": 0.5, "Timestamp": 120}], now=130.0)[0].total
    0.5
    """
    if not isinstance(data, (list, tuple)):
        raise faults.malformed("MetricData is not a list")
    if not data:
        raise faults.missing("MetricData")
    if len(data) > MAX_DATUMS:
        raise faults.invalid(f"The collection MetricData must not have a size greater than {MAX_DATUMS}.")
    return [parse_datum(each, f"MetricData.member.{index}", now) for index, each in enumerate(data, 1)]


def parse_datum(datum: Any, at: str, now: float) -> Datum:
    """Check one datum; `at` is its place in the request, for messages."""
    if not isinstance(datum, Mapping):
        raise faults.malformed(f"{at} is not a structure")
    get = datum.get
    name = text(get("MetricName"), f"{at}.MetricName", 255)
    dimensions = dimensions_key(get("Dimensions"), f"{at}.Dimensions")
    unit = get("Unit")
    if unit is None:
        unit = "None"
    elif not isinstance(unit, str) or unit not in UNITS:
        raise faults.constraint(unit, f"{at}.Unit", f"Member must satisfy enum value set: [{', '.join(sorted(UNITS))}]")
    resolution = _resolution(get("StorageResolution"), at)
    timestamp = _timestamp(get("Timestamp"), f"{at}.Timestamp", now)
    count, total, minimum, maximum, values = _measured(datum, at)
    return Datum(
        name, dimensions, timestamp // resolution * resolution, resolution, unit, count, total, minimum, maximum, values
    )


def text(value: Any, at: str, longest: int) -> str:
    """A name: printable, 1 to `longest` characters (control characters could not be told to XML clients)."""
    if value is None:
        raise faults.missing(at)
    if not isinstance(value, str):
        raise faults.malformed(f"{at} is not a string")
    if not 1 <= len(value) <= longest:
        word, limit = ("greater", 1) if not value else ("less", longest)
        raise faults.constraint(shown(value), at, f"Member must have length {word} than or equal to {limit}")
    if not value.isprintable():
        raise faults.invalid(f"The value {shown(value)} for parameter {at} is invalid.")
    return value


def namespace(value: Any) -> str:
    name = text(value, "Namespace", 255)
    if name.startswith(":"):
        raise faults.invalid(f"The value {shown(name)} for parameter Namespace is invalid.")
    return name


def shown(value: object) -> str:
    """`value` as it may stand in a message: short, without control characters."""
    return "".join(each if each.isprintable() else "?" for each in str(value)[:100])


def dimension_pairs(value: Any, at: str) -> list[tuple[str, str]]:
    """[{"Name": .., "Value": ..}, ..] as sorted pairs."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise faults.malformed(f"{at} is not a list")
    if len(value) > MAX_DIMENSIONS:
        raise faults.constraint(shown(value), at, f"Member must have length less than or equal to {MAX_DIMENSIONS}")
    pairs = []
    for index, each in enumerate(value, 1):
        if not isinstance(each, Mapping):
            raise faults.malformed(f"{at}.member.{index} is not a structure")
        name = text(each.get("Name"), f"{at}.member.{index}.Name", 255)
        pairs.append((name, text(each.get("Value"), f"{at}.member.{index}.Value", 1024)))
    pairs.sort()
    if len(dict(pairs)) < len(pairs):
        raise faults.invalid(f"The parameter {at} names a dimension twice.")
    return pairs


def dimensions_key(value: Any, at: str = "Dimensions") -> str:
    """The one text under which the store keeps a set of dimensions.

    >>> dimensions_key([{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}])
    '[["a","1"],["b","2"]]'
    """
    asked = None
    if isinstance(value, list):
        try:
            asked = tuple([(each["Name"], each["Value"]) for each in value])
            if asked in _keys:
                return _keys[asked]
        except (TypeError, KeyError):
            asked = None
    key = json.dumps(dimension_pairs(value, at), separators=(",", ":"))
    if asked is not None:
        if len(_keys) >= _REMEMBERED:
            _keys.clear()
        _keys[asked] = key
    return key


# Dimensions as sent -> key: a host sends the same few with every sample. About 300 bytes each.
_keys: dict[tuple[tuple[str, str], ...], str] = {}
_REMEMBERED = 5_000


def number(value: Any, at: str) -> float:
    """A finite float; JSON carries NaN and the infinities as strings."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise faults.malformed(f"{at} is not a number")
    if not -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
        raise faults.invalid(f"The value {'±NaN' if value != value else shown(value)} for parameter {at} is invalid.")
    return float(value)


def _resolution(value: Any, at: str) -> int:
    if value is None or value == 60:
        return 60
    if value != 1 or isinstance(value, bool):
        raise faults.invalid(f"The value {shown(value)} for parameter {at}.StorageResolution is invalid.")
    return 1


def _timestamp(value: Any, at: str, now: float) -> int:
    if value is None:
        return int(now)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise faults.malformed(f"{at} is not a timestamp")
    if not now - OLDEST <= value:
        raise faults.invalid(f"The parameter {at} must specify a time no more than two weeks in the past.")
    if not value <= now + AHEAD:
        raise faults.invalid(f"The parameter {at} must specify a time no more than two hours in the future.")
    return math.floor(value)


Measured = tuple[float, float, float, float, tuple[tuple[float, float], ...]]


def _measured(datum: Mapping[str, Any], at: str) -> Measured:
    """Count, total, minimum, maximum and values of a datum: exactly one of Value, Values and StatisticValues."""
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if len(given) > 1:
        raise faults.exclusive(f"{at}.{given[0]}", f"{at}.{given[1]}")
    if datum.get("Counts") is not None and given != ["Values"]:
        raise faults.missing(f"{at}.Values")
    if not given:
        raise faults.missing(f"{at}.Value")
    if given == ["Value"]:
        value = number(datum["Value"], f"{at}.Value")
        return 1.0, value, value, value, ((value, 1.0),)
    if given == ["Values"]:
        return _array(datum["Values"], datum.get("Counts"), at)
    return _statistic_set(datum["StatisticValues"], f"{at}.StatisticValues")


def _array(values: Any, counts: Any, at: str) -> Measured:
    for given, name in ((values, "Values"), (counts, "Counts")):
        if given is not None and not isinstance(given, (list, tuple)):
            raise faults.malformed(f"{at}.{name} is not a list")
        if given is not None and len(given) > MAX_VALUES:
            raise faults.invalid(f"The collection {at}.{name} must not have a size greater than {MAX_VALUES}.")
    if not values:
        raise faults.missing(f"{at}.Values")
    if counts is not None and len(counts) != len(values):
        raise faults.invalid(f"The parameters {at}.Values and {at}.Counts must be of the same size.")
    numbers = [number(each, f"{at}.Values.member.{index}") for index, each in enumerate(values, 1)]
    weights = [1.0] * len(numbers) if counts is None else _weights(counts, f"{at}.Counts")
    total = sum(value * weight for value, weight in zip(numbers, weights, strict=True))
    return sum(weights), total, min(numbers), max(numbers), tuple(zip(numbers, weights, strict=True))


def _weights(counts: Sequence[Any], at: str) -> list[float]:
    weights = [number(each, f"{at}.member.{index}") for index, each in enumerate(counts, 1)]
    for index, weight in enumerate(weights, 1):
        if weight <= 0:
            raise faults.invalid(f"The value {weight} for parameter {at}.member.{index} is invalid.")
    return weights


def _statistic_set(given: Any, at: str) -> Measured:
    if not isinstance(given, Mapping):
        raise faults.malformed(f"{at} is not a structure")
    for name in STATISTIC_MEMBERS:
        if given.get(name) is None:
            raise faults.missing(f"{at}.{name}")
    count, total, minimum, maximum = (number(given[name], f"{at}.{name}") for name in STATISTIC_MEMBERS)
    if count <= 0:
        raise faults.invalid(f"The value {count} for parameter {at}.SampleCount is invalid.")
    if minimum > maximum:
        raise faults.invalid(f"The parameter {at}.Maximum must be greater than {at}.Minimum.")
    return count, total, minimum, maximum, ((minimum, count),) if minimum == maximum else ()
