"""What fresh hosts of a platform are like, recorded by tools/record-platforms from real ones."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookline.errors import UsageError, did_you_mean
from cookline.host import accounts
from cookline.host.facts import Facts, Group
from cookline.host.units import Unit

FOLDER = Path(__file__).with_name("platforms")


@dataclass(frozen=True)
class Platform:
    """`paths` is {path: (kind, mode, link target)} of what stands on a fresh host; `units` those that are up."""

    name: str
    facts: Mapping[str, Any]
    passwd: Mapping[str, accounts.Account]
    group: Mapping[str, accounts.GroupEntry]
    packages: Mapping[str, str]
    paths: Mapping[str, tuple[str, str, str]]
    units: Mapping[str, Unit]
    enabled: frozenset[str]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@functools.cache
def platform(name: str) -> Platform:
    """Raises UsageError with the nearest name."""
    try:
        recorded = json.loads((FOLDER / f"{name}.json").read_text())
    except FileNotFoundError:
        hint = f"platforms: {', '.join(names())}"
        raise UsageError(f"no platform {name!r} was recorded{did_you_mean(name, names())}", hint=hint) from None
    paths = dict.fromkeys(recorded["directories"], ("directory", "0755", ""))
    paths |= {path: ("file", mode.zfill(4), "") for path, mode in recorded["files"].items()}
    paths |= {path: ("link", "0777", target) for path, target in recorded["links"].items()}
    for path in [*paths]:
        while (path := path.rpartition("/")[0]) and path not in paths:
            paths[path] = ("directory", "0755", "")
    paths |= {f"/lib/systemd/system/{unit}": ("file", "0644", "") for unit in recorded["units"]}
    return Platform(
        name=name,
        facts={key: Group(value) if isinstance(value, dict) else value for key, value in recorded["facts"].items()},
        passwd=accounts.parse_passwd("\n".join(recorded["passwd"])),
        group=accounts.parse_group("\n".join(recorded["group"])),
        packages=recorded["packages"],
        paths={"/": ("directory", "0755", ""), **paths},
        units={unit: Unit(unit, "loaded", "active", "running", "") for unit in recorded["running"]},
        enabled=frozenset(path.rpartition("/")[2] for path in recorded["links"] if ".wants/" in path or ".requires/" in path),
    )


class RecordedFacts(Facts):
    """`changes` replace recorded facts; in a group of facts only what they name."""

    def __init__(self, recorded: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        super().__init__()
        self._known.update(recorded)
        for name, value in changes.items():
            known = recorded.get(name)
            self._known[name] = Group({**(known or {}), **value}) if isinstance(value, Mapping) else value
