"""Cron: one job in a file of its own in /etc/cron.d."""

from __future__ import annotations

import re
from typing import Any, Mapping, Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile

DIRECTORY = "/etc/cron.d"
# cron skips files with other characters in their names, dots above all.
NAME = re.compile(r"[A-Za-z0-9_-]+")
TIME = re.compile(r"[0-9A-Za-z*/,-]+")
Time = Union[str, int]


class Cron(FileBacked):
    """A job of cron, in /etc/cron.d/NAME, 0600 root (features R26).

    job                                     name of the job and its file: letters, digits, _ and -
    command                                 a line for /bin/sh; a % in it stays a %
    minute, hour, day, month, weekday       as in crontab(5); "*" is each
    user                                    who runs it
    environment                             names and values set before the job, as MAILTO
    exists                                  False removes the job

    >>> Cron("backup", "/usr/local/bin/backup", minute=0, hour=3).file().content_bytes().decode().splitlines()[-1]
    '0 3 * * * root /usr/local/bin/backup'
    """

    job: str
    command: str = ""
    minute: Time = field(default="*", kw_only=True)
    hour: Time = field(default="*", kw_only=True)
    day: Time = field(default="*", kw_only=True)
    month: Time = field(default="*", kw_only=True)
    weekday: Time = field(default="*", kw_only=True)
    user: str = field(default="root", kw_only=True)
    environment: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.job, str) or not NAME.fullmatch(self.job):
            raise ResourceUsageError(f"Cron needs a name of letters, digits, _ and -, not {self.job!r}; cron skips other files")
        if self.exists and (not self.command or "\n" in self.command):
            raise ResourceUsageError(f"Cron[{self.job}] needs a command of one line")
        for name in ("minute", "hour", "day", "month", "weekday"):
            if not TIME.fullmatch(str(getattr(self, name))):
                raise ResourceUsageError(f"Cron[{self.job}] has {name} {getattr(self, name)!r}; see crontab(5)")
        for name, value in self.environment.items():
            if not re.fullmatch(r"[A-Za-z_]\w*", name) or "\n" in str(value):
                raise ResourceUsageError(f"Cron[{self.job}] cannot set {name!r} to {value!r}")

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/{self.job}"
        if not self.exists:
            return File(path, exists=False)
        return File(path, self.text(), mode="0600", owner="root", group="root", sensitive=self.sensitive)

    def text(self) -> str:
        """The lines of the file. cron takes an unescaped % for the end of a line."""
        times = " ".join(str(each) for each in (self.minute, self.hour, self.day, self.month, self.weekday))
        command = re.sub(r"(?<!\\)%", r"\\%", self.command)
        settings = [f'{name}="{value}"' for name, value in sorted(self.environment.items())]
        return "\n".join([f"# the job {self.job}, written by cookline", *settings, f"{times} {self.user} {command}", ""])
