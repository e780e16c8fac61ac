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
from cookline.host.facts import READERS, Facts, Group, grouped
from cookline.host.run.cookbook_facts import CookbookFacts
from cookline.host.system import System
from cookline.host.units import Unit

FOLDER = Path(__file__).with_name("platforms")


# What tells of the machine that was recorded, and not of the platform.
UNRECORDED: Mapping[str, Any] = {
    "disks": Group(vda=Group(size=20 << 30, rotational=False, model="")),
    "mounts": Group({"/": Group(device="/dev/vda1", type="ext4", options=["rw"], size=20 << 30, available=15 << 30)}),
    "interfaces": Group(eth0=Group(mac="02:00:00:00:00:01", state="up", mtu=1500)),
}


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
    """`changes` replace recorded facts; in a group of facts, or in those of a cookbook, only what they name."""

    def __init__(self, recorded: Mapping[str, Any], changes: Mapping[str, Any], host: System) -> None:
        super().__init__(host)
        self._known.update({**UNRECORDED, **recorded})
        for name, value in changes.items():
            if not isinstance(value, Mapping):
                self._known[name] = value
            elif name in READERS:
                self._known[name] = Group({**self.read(name), **grouped(dict(value))})
            else:
                self._known.update({f"{name}.{key}": grouped(each) for key, each in value.items()})


class ExampleFacts(CookbookFacts):
    """A cookbook's facts on a fake host: what the file of each calls its EXAMPLE, as its programs are not there."""

    def read(self, cookbook: str, name: str, host: System) -> Any:
        if name in self.of(cookbook):
            module = self.module(cookbook, name)
            if hasattr(module, "EXAMPLE"):
                return grouped(module.EXAMPLE)
        return super().read(cookbook, name, host)
