"""HostsEntry: the names of one address in /etc/hosts."""

from __future__ import annotations

import os
import re
from typing import List, Optional, Sequence, Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import System

FILE = "/etc/hosts"
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


class HostsEntry(Resource):
    """One address and all its names, on one line of /etc/hosts; other lines stay as they are.

    address     IPv4 or IPv6
    names       its names, the canonical one first; names that it had besides are taken away
    exists      False removes the address

    >>> HostsEntry("10.0.0.7", ["db.example.net", "db"]).desired()
    {'names': ['db.example.net', 'db']}
    """

    address: str
    names: Union[str, Sequence[str]] = ()
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        import ipaddress

        try:
            ipaddress.ip_address(str(self.address).partition("%")[0])
        except ValueError:
            raise ResourceUsageError(f"HostsEntry needs an IP address, not {self.address!r}") from None
        names = [self.names] if isinstance(self.names, str) else list(self.names)
        if self.exists and (not names or not all(isinstance(name, str) and NAME.fullmatch(name) for name in names)):
            raise ResourceUsageError(f"HostsEntry[{self.address}] needs names of hosts, not {self.names!r}")
        self._set(names=tuple(names))

    def current(self, host: System) -> State:
        found = [words[1:] for words in map(_words, self._lines(host)) if words and words[0] == self.address]
        return {"names": [name for names in found for name in names] if found else None}

    def desired(self) -> State:
        return {"names": list(self.names) if self.exists else None}

    def apply(self, host: System, changes: Changes) -> None:
        host.write(FILE, self._edited(host), backup=True)

    def _lines(self, host: System) -> List[str]:
        return (host.read(FILE) or b"").decode("utf-8", "surrogateescape").splitlines()

    def _edited(self, host: System) -> bytes:
        wanted = ["\t".join([self.address, " ".join(self.names)])] if self.exists else []
        kept: List[str] = []
        for line in self._lines(host):
            if _words(line)[:1] == [self.address]:
                kept, wanted = kept + wanted, []
            else:
                kept.append(line)
        return "".join(f"{line}\n" for line in kept + wanted).encode("utf-8", "surrogateescape")

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The file as it was: what stood there may have been several lines, with comments."""
        return path_as_it_is(host, os.path.realpath(FILE))

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        return None if self.sensitive else unified_diff(FILE, host.read(FILE) or b"", self._edited(host))

    def watched_paths(self) -> List[str]:
        return [FILE]


def _words(line: str) -> List[str]:
    return line.partition("#")[0].split()
