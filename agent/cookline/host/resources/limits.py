"""Limits: what a user's sessions may use, by pam_limits."""

from __future__ import annotations

import re
from typing import Any, List, Mapping

from cookline.errors import ResourceUsageError, did_you_mean
from cookline.host.resources.base import field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile

DIRECTORY = "/etc/security/limits.d"
DOMAIN = re.compile(r"[@%]?[A-Za-z0-9_*][A-Za-z0-9_.:*-]*")
# limits.conf(5)
ITEMS = (
    *("core", "data", "fsize", "memlock", "nofile", "rss", "stack", "cpu", "nproc", "as", "maxlogins", "maxsyslogins"),
    *("nonewprivs", "priority", "locks", "sigpending", "msgqueue", "nice", "rtprio"),
)


class Limits(FileBacked):
    """Limits of the sessions of a user or group, in /etc/security/limits.d/cookline-DOMAIN.conf, for sessions that begin
    later. Services of systemd have their own (LimitNOFILE= and so on in their unit).

    domain      a user, "@group" or "*"
    values      item of limits.conf(5) -> a number, "unlimited", or [soft, hard]
    exists      False removes the limits

    >>> Limits("shop", {"nofile": 65536, "nproc": [1024, 2048]}).text().splitlines()[1:]
    ['shop - nofile 65536', 'shop soft nproc 1024', 'shop hard nproc 2048']
    """

    domain: str
    values: Mapping[str, Any] = field(default_factory=dict)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.domain, str) or not DOMAIN.fullmatch(self.domain):
            raise ResourceUsageError(f"Limits needs a user, '@group' or '*', not {self.domain!r}")
        if self.exists and not self.values:
            raise ResourceUsageError(f"Limits[{self.domain}] has no values; say which, as {{'nofile': 65536}}")
        for item, value in self.values.items():
            if item not in ITEMS:
                raise ResourceUsageError(f"Limits[{self.domain}]: there is no limit {item!r}{did_you_mean(item, ITEMS)}")
            pair = value if isinstance(value, (list, tuple)) else [value]
            if len(pair) not in (1, 2) or not all(re.fullmatch(r"-?\d+|unlimited|infinity", str(each)) for each in pair):
                raise ResourceUsageError(
                    f"Limits[{self.domain}] has {item} {value!r}; give a number, 'unlimited' or [soft, hard]"
                )

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/cookline-{self._file_name()}.conf"
        if not self.exists:
            return File(path, exists=False)
        return File(path, self.text(), mode="0644", owner="root", group="root", sensitive=self.sensitive)

    def _file_name(self) -> str:
        return self.domain.replace("@", "group-").replace("%", "each-").replace("*", "all").replace(":", "_")

    def text(self) -> str:
        """The lines of the file."""
        lines: List[str] = ["# written by cookline"]
        for item, value in sorted(self.values.items()):
            if isinstance(value, (list, tuple)):
                lines += [f"{self.domain} {kind} {item} {each}" for kind, each in zip(("soft", "hard"), value)]
            else:
                lines.append(f"{self.domain} - {item} {value}")
        return "\n".join([*lines, ""])
