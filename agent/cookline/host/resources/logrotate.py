"""Logrotate: how log files are rotated."""

from __future__ import annotations

import re
from typing import Any, Callable, List, Optional, Sequence, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import Changes, field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.programs import require_program
from cookline.host.system import System

DIRECTORY = "/etc/logrotate.d"
# logrotate skips names with a tilde or one of many endings after a dot.
NAME = re.compile(r"[A-Za-z0-9_-]+")
OPTIONS = ("weekly", "rotate 4", "compress", "delaycompress", "missingok", "notifempty")


class Logrotate(FileBacked):
    """Rotation of some log files, in /etc/logrotate.d/NAME. `logrotate -d` checks it before it is put in place.

    log             name of the rotation and its file
    paths           log files, with wildcards: one or a list
    options         lines of logrotate(8); weekly, 4 kept, compressed by default
    postrotate      shell commands after a rotation, as "systemctl reload shop"
    exists          False removes the rotation

    >>> print(Logrotate("shop", "/var/log/shop/*.log", options=["daily", "rotate 7"]).text())
    # written by cookline
    /var/log/shop/*.log {
        daily
        rotate 7
    }
    <BLANKLINE>
    """

    log: str
    paths: Union[str, Sequence[str]] = ()
    options: Sequence[str] = field(default=OPTIONS, kw_only=True)
    postrotate: Optional[str] = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.log, str) or not NAME.fullmatch(self.log):
            raise ResourceUsageError(f"Logrotate needs a name of letters, digits, _ and -, not {self.log!r}")
        paths = (self.paths,) if isinstance(self.paths, str) else tuple(self.paths)
        if self.exists and (not paths or not all(re.fullmatch(r'/[^\n"{}]+', str(path)) for path in paths)):
            raise ResourceUsageError(f"Logrotate[{self.log}] needs absolute paths of log files, not {self.paths!r}")
        options = (self.options,) if isinstance(self.options, str) else tuple(self.options)
        if any(re.search(r"[\n{}]", option) for option in options):
            raise ResourceUsageError(f"Logrotate[{self.log}] takes options of one line each, not {self.options!r}")
        self._set(paths=paths, options=options)

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/{self.log}"
        if not self.exists:
            return File(path, exists=False)
        return _CheckedRotation(path, self.text(), mode="0644", owner="root", group="root", sensitive=self.sensitive)

    def text(self) -> str:
        """The lines of the file."""
        paths = " ".join(f'"{path}"' if " " in path else path for path in self.paths)
        script = [] if self.postrotate is None else ["sharedscripts", "postrotate", *self._script(), "endscript"]
        lines: List[str] = [f"    {line}" for line in (*self.options, *script)]
        return "\n".join(["# written by cookline", f"{paths} {{", *lines, "}", ""])

    def _script(self) -> List[str]:
        return [f"    {line}" for line in (self.postrotate or "").strip().splitlines()]

    def apply(self, host: System, changes: Changes) -> None:
        if self.exists:
            require_program(host, "logrotate", "logrotate", self.name)
        super().apply(host, changes)


class _CheckedRotation(File):
    """Only complaints about the file itself count: the logs that it names may come later. From version 3.22 on logrotate warns
    of options that it does not know, where it spoke of an error before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(verify=("logrotate -d %{path}",))

    def _verifier(self, host: System) -> Callable[[str], None]:
        def check(staged: str) -> None:
            answer: Any = host.query(["logrotate", "-d", staged], timeout=60.0)
            lines = [line for line in answer.stderr.splitlines() if f"{staged}:" in line]
            complaints = [line for line in lines if line.startswith("error:") or "unknown option" in line]
            if complaints:
                text = "\n".join(line.replace(staged, self.path) for line in complaints)
                raise ResourceError(f"the new {self.path} was refused by logrotate and is not used:\n{text}")

        return check
