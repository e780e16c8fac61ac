"""Timezone: the host's time zone."""

from __future__ import annotations

import os
import re
from typing import List, Optional

from cookline.errors import ResourceError, ResourceUsageError, did_you_mean
from cookline.host.resources.base import Changes, Resource, State
from cookline.host.system import System

LINK = "/etc/localtime"
NAME_FILE = "/etc/timezone"
ZONES = "/usr/share/zoneinfo"
NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")


class Timezone(Resource):
    """The zone of /etc/localtime, and of /etc/timezone where there is that file. Programs that run keep the old zone until
    they start anew, cron above all.

    zone        name of the tz database, as "Europe/Berlin" or "Etc/UTC"

    >>> Timezone("Europe/Berlin").desired()
    {'zone': 'Europe/Berlin', 'name': 'Europe/Berlin'}
    """

    zone: str

    def __post_init__(self) -> None:
        if not isinstance(self.zone, str) or not NAME.fullmatch(self.zone):
            raise ResourceUsageError(f"Timezone needs a name as 'Europe/Berlin', not {self.zone!r}")

    @property
    def identity(self) -> str:
        """A host has one: another value is the same resource."""
        return "this host"

    def current(self, host: System) -> State:
        target = host.link_target(LINK)
        absolute = os.path.normpath(os.path.join("/etc", target)) if target else ""
        found = absolute[len(ZONES) + 1 :] if absolute.startswith(ZONES + "/") else target
        name = host.read(NAME_FILE)
        return {"zone": found, "name": self.zone if name is None else name.decode("utf-8", "replace").strip()}

    def desired(self) -> State:
        return {"zone": self.zone, "name": self.zone}

    def apply(self, host: System, changes: Changes) -> None:
        if host.status(f"{ZONES}/{self.zone}") is None:
            region = os.path.dirname(self.zone)
            known = [f"{region}/{name}".lstrip("/") for name in host.listing(f"{ZONES}/{region}")]
            hint = None if known else "put Package('tzdata') before"
            raise ResourceError(f"there is no time zone {self.zone!r} on this host{did_you_mean(self.zone, known)}", hint=hint)
        if "zone" in changes:
            host.make_link(LINK, f"{ZONES}/{self.zone}")
        if "name" in changes:
            host.write(NAME_FILE, f"{self.zone}\n".encode())

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The former zone."""
        before = changes["zone" if "zone" in changes else "name"][0]
        return Timezone(before) if before else None

    def watched_paths(self) -> List[str]:
        return [LINK, NAME_FILE]
