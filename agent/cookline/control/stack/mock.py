"""Mock snapshots (features O103): the rest of a stack, which a suite's host is only told of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cookline.control.stack.problems import Where, shown
from cookline.control.stack.scalars import described
from cookline.errors import did_you_mean, nearest

# Addresses of documentation (RFC 5737) for the neighbours that a suite only tells of.
NEIGHBOURS = "192.0.2."

# As control/stack/snapshot.py makes them. An instance may have keys of the author's own: recipes see them.
PARTS = ("store", "number", "stack", "layers", "instances", "apps")
INSTANCE_KEYS = ("name", "id", "address", "private_address", "layers", "state", "online")


def mocked(mock: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot as people write it ({"instances": {"app1": {"layers": [..]}}}), or as it was copied from a run, in full."""
    given = mock.get("instances") or {}
    entries = given if isinstance(given, list) else [{"name": name, **(each or {})} for name, each in given.items()]
    instances = [_neighbour(number, each) for number, each in enumerate(entries, start=1)]
    named = mock.get("layers") or {}
    layers = {name: {"name": name} for entry in instances for name in entry["layers"]}
    layers |= {name: {} for name in named} if isinstance(named, list) else named
    return {
        "layers": {name: {"name": name, **(layer or {})} for name, layer in layers.items()},
        "instances": instances,
        "apps": mock.get("apps") or {},
    }


def _neighbour(number: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    state = str(entry.get("state", "online"))
    address = entry.get("address") or f"{NEIGHBOURS}{number}"
    whole = {"id": f"kitchen-{entry['name']}", "layers": [], "state": state, "online": state == "online"}
    return {**whole, "private_address": address, **entry, "address": address}


def read_mock(mock: Any, directory: Path) -> Mapping[str, Any]:
    """The mapping that `snapshot:` of a suite means: itself, or that of a JSON file. Raises ValueError with a sentence."""
    if not isinstance(mock, str):
        return mock or {}
    path = directory / Path(mock).expanduser()
    try:
        read = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{shown(path)} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{shown(path)} is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise ValueError(f"{shown(path)} must hold a mapping, not {described(read)}")
    return read


def mock_problems(mock: Mapping[str, Any]) -> Iterator[tuple[Where, str]]:
    """What is wrong with a mock snapshot: the way to the value, and a sentence."""
    for key in mock:
        if key not in PARTS:
            yield (key,), f"a snapshot has no {key!r}{did_you_mean(key, PARTS) or '; it has ' + ', '.join(PARTS)}"
    given = mock.get("instances") or {}
    if not isinstance(given, (dict, list)):
        yield ("instances",), f"`instances` wants a mapping, not {described(given)}"
        return
    for name, entry in given.items() if isinstance(given, dict) else enumerate(given):
        yield from _instance_problems(("instances", name), entry, isinstance(given, list))
    for part in ("layers", "apps"):
        if not isinstance(mock.get(part) or {}, (dict, list) if part == "layers" else dict):
            yield (part,), f"`{part}` wants a mapping, not {described(mock[part])}"


def _instance_problems(where: Where, entry: Any, unnamed: bool) -> Iterator[tuple[Where, str]]:
    given = {} if entry is None and not unnamed else entry
    if not isinstance(given, dict):
        yield where, f"an instance wants a mapping such as {{layers: [app]}}, not {described(entry)}"
        return
    for key in given:
        if key not in INSTANCE_KEYS and nearest(key, INSTANCE_KEYS):
            yield (*where, key), f"an instance has no {key!r}{did_you_mean(key, INSTANCE_KEYS)}"
    if unnamed and not isinstance(given.get("name"), str):
        yield where, "an instance of a list needs a `name`"
    layers = given.get("layers")
    if layers is not None and not (isinstance(layers, list) and all(isinstance(each, str) for each in layers)):
        yield (*where, "layers"), f"`layers` wants a list of names, not {described(layers)}"
