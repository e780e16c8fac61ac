"""Sudoers: a rule of sudo in a file of its own."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Sequence, Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import Changes, field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.programs import require_program
from cookline.host.system import System

DIRECTORY = "/etc/sudoers.d"
# sudo skips files whose names have a dot or end in ~.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# A line's end would begin another rule.
WORD = re.compile(r"[^\n\r\0]+")
Words = Union[str, Sequence[str]]


class Sudoers(FileBacked):
    """Who may run what as whom, in /etc/sudoers.d/NAME, 0440 root. visudo checks it before it is put in place: a rule with a
    mistake would lock everybody out of sudo.

    rule        name of the rule and its file: letters, digits, _ and -
    users       names of the accounts that it is for; groups: names of groups
    commands    what they may run, with full paths; ALL by default
    runas       as whom
    nopasswd    no password is asked for
    defaults    settings for these users, as "!requiretty"
    content     instead of all of these, the text of the file
    exists      False removes the rule

    >>> Sudoers("deploy", users="deployer", commands=["/usr/bin/systemctl restart shop"], nopasswd=True).text()
    'deployer ALL=(ALL) NOPASSWD: /usr/bin/systemctl restart shop\\n'
    """

    rule: str
    users: Words = field(default=(), kw_only=True)
    groups: Words = field(default=(), kw_only=True)
    commands: Words = field(default=("ALL",), kw_only=True)
    runas: str = field(default="ALL", kw_only=True)
    nopasswd: bool = field(default=False, kw_only=True)
    defaults: Words = field(default=(), kw_only=True)
    content: Optional[str] = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.rule, str) or not NAME.fullmatch(self.rule):
            raise ResourceUsageError(
                f"Sudoers needs a name of letters, digits, _ and -, not {self.rule!r}; sudo skips other files"
            )
        for name in ("users", "groups", "commands", "defaults"):
            given = getattr(self, name)
            values = (given,) if isinstance(given, str) else tuple(given)
            if not all(isinstance(value, str) and WORD.fullmatch(value) for value in values):
                raise ResourceUsageError(f"Sudoers[{self.rule}] has {name} {given!r}; give names of one line each")
            self._set(**{name: values})
        if self.exists and self.content is None and not (self.users or self.groups):
            raise ResourceUsageError(f"Sudoers[{self.rule}] is for nobody; say users=, groups= or content=")

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/{self.rule}"
        if not self.exists:
            return File(path, exists=False)
        options: Any = {"mode": "0440", "owner": "root", "group": "root", "sensitive": self.sensitive}
        return File(path, self.text(), verify="visudo -cqf %{path}", timeout=self.timeout, **options)

    def text(self) -> str:
        """The lines of the file."""
        if self.content is not None:
            return self.content
        tag = "NOPASSWD: " if self.nopasswd else ""
        lines: List[str] = []
        for subject in (*self.users, *(f"%{group}" for group in self.groups)):
            lines += [f"Defaults:{subject} {setting}" for setting in self.defaults]
            lines.append(f"{subject} ALL=({self.runas}) {tag}{', '.join(self.commands)}")
        return "\n".join([*lines, ""])

    def apply(self, host: System, changes: Changes) -> None:
        if self.exists:
            require_program(host, "visudo", "sudo", self.name)
        super().apply(host, changes)
