"""Hostname: what the host calls itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List, Optional

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

FILE = "/etc/hostname"
LIVE = "/proc/sys/kernel/hostname"
# hostname(7); a name of several labels is taken, though most hosts do better with one.
NAME = re.compile(r"(?=.{1,64}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")


class Hostname(Resource):
    """The host's name, in /etc/hostname and in the kernel. Programs that read it at their start, as syslog, keep the old one.
    What the name resolves to is HostsEntry's matter.

    hostname        letters, digits and -

    >>> Hostname("web1").desired()
    {'static': 'web1', 'live': 'web1'}
    """

    hostname: str

    def __post_init__(self) -> None:
        if not isinstance(self.hostname, str) or not NAME.fullmatch(self.hostname):
            raise ResourceUsageError(f"Hostname needs a name of letters, digits and -, not {self.hostname!r}")

    @property
    def identity(self) -> str:
        """A host has one: another value is the same resource."""
        return "this host"

    def current(self, host: System) -> State:
        lines = (host.read(FILE) or b"").decode("utf-8", "replace").splitlines()
        static = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), None)
        return {"static": static, "live": (host.read(LIVE) or b"").decode("utf-8", "replace").strip()}

    def desired(self) -> State:
        return {"static": self.hostname, "live": self.hostname}

    def apply(self, host: System, changes: Changes) -> None:
        if "live" in changes:
            host.run(["hostname", self.hostname])
        if "static" in changes:
            host.write(FILE, f"{self.hostname}\n".encode(), mode="0644")

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The former name."""
        before = changes["static" if "static" in changes else "live"][0]
        return Hostname(before) if before else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        from cookline.host.overlay import Node

        host.write(FILE, f"{self.hostname}\n".encode())
        host.put(LIVE, Node("file", load=lambda: self.hostname.encode()))

    def watched_paths(self) -> List[str]:
        return [FILE]
