"""Decoding and checking by the service model: what a protocol's body says becomes an operation's parameters.

A plain value (JSON's, CBOR's, or a form's, where every scalar is text) is walked along its shape. Wrong types, missing members,
lengths, ranges, enums and patterns each end in the fault that AWS answers. Times become epoch seconds (float).
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cookline.cloudwatch import faults
from cookline.cloudwatch.datum import shown

# 9999-12-31T23:59:59Z, the last second that every client can show.
_LAST_SECOND = 253402300799


def read(shape: Any, value: Any, at: str = "", *, text: bool = False) -> Any:
    """`value` checked against a botocore shape. `text`: scalars are strings, as in a form."""
    reader = _READERS.get(shape.type_name)
    if reader is None:
        raise faults.malformed(f"{at} has an unsupported type")
    return reader(shape, value, at, text)


def _structure(shape: Any, value: Any, at: str, text: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise faults.malformed(f"{at or 'The request'} is not a structure")
    found = {}
    for name, member, required in _members(shape):
        given = value.get(name)
        place = f"{at}.{name}" if at else name
        if given is not None:
            found[name] = read(member, given, place, text=text)
        elif required:
            raise faults.missing(place)
    return found


@lru_cache(maxsize=1024)
def _members(shape: Any) -> tuple[tuple[str, Any, bool], ...]:
    required = set(shape.required_members)
    return tuple((name, member, name in required) for name, member in shape.members.items())


def _list(shape: Any, value: Any, at: str, text: bool) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise faults.malformed(f"{at} is not a list")
    _check_length(shape, value, at)
    return [read(shape.member, each, f"{at}.member.{index}", text=text) for index, each in enumerate(value, 1)]


def _map(shape: Any, value: Any, at: str, text: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise faults.malformed(f"{at} is not a map")
    _check_length(shape, value, at)
    return {
        read(shape.key, key, at, text=True): read(shape.value, each, f"{at}.{key}", text=text) for key, each in value.items()
    }


def _string(shape: Any, value: Any, at: str, text: bool) -> str:
    if not isinstance(value, str):
        raise faults.malformed(f"{at} is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise faults.malformed(f"{at} is not text") from None
    if shape.enum and value not in shape.enum:
        raise faults.constraint(shown(value), at, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    _check_length(shape, value, at)
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value, re.DOTALL):
        raise faults.constraint(shown(value), at, f"Member must satisfy regular expression pattern: {pattern}")
    return value


def _check_length(shape: Any, value: Any, at: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and len(value) < least:
        raise faults.constraint(shown(value), at, f"Member must have length greater than or equal to {least}")
    if most is not None and len(value) > most:
        raise faults.constraint(shown(value), at, f"Member must have length less than or equal to {most}")


def _integer(shape: Any, value: Any, at: str, text: bool) -> int:
    if text and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    limit = 2**31 if shape.type_name == "integer" else 2**63
    if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
        raise faults.malformed(f"{at} is not an integer")
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        raise faults.constraint(value, at, f"Member must have value greater than or equal to {least}")
    if most is not None and value > most:
        raise faults.constraint(value, at, f"Member must have value less than or equal to {most}")
    return value


def _double(shape: Any, value: Any, at: str, text: bool) -> float:
    if isinstance(value, str) and (text or value in ("NaN", "Infinity", "-Infinity")):
        try:
            value = float(value)
        except ValueError:
            raise faults.malformed(f"{at} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise faults.malformed(f"{at} is not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _boolean(shape: Any, value: Any, at: str, text: bool) -> bool:
    if text and value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise faults.malformed(f"{at} is not a boolean")
    return value


def _timestamp(shape: Any, value: Any, at: str, text: bool) -> float:
    if text and isinstance(value, str):
        value = _moment(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LAST_SECOND:
        raise faults.malformed(f"{at} is not a timestamp")
    return float(value)


def _moment(value: str) -> float | None:
    """Epoch seconds of ISO 8601 (UTC when it names no zone) or of a plain number."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


_READERS: Mapping[str, Callable[[Any, Any, str, bool], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "character": _string,
    "integer": _integer,
    "long": _integer,
    "double": _double,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
