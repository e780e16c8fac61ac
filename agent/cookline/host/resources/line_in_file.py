"""LineInFile: one line of a file that somebody else owns."""

from __future__ import annotations

import re
from typing import Any, List, Optional

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import field
from cookline.host.resources.edited_file import EditedFile, shown


class LineInFile(EditedFile):
    """A line that must stand in a file, or must not. The rest of the file, its mode and owner stay as they are.

    path        the file; it must be there, or say `create`
    line        the line, without its end
    match       a regular expression, searched in each line: the last line that it finds becomes `line`, others that it finds
                are removed; with none, the line is added
    after       a regular expression: the line is added after the last line that it finds; without one, at the end
    create      make the file when it is not there
    verify      a command, or several, run on the staged file `%{path}`; if one fails, nothing has changed
    backup      keep the last five contents
    exists      False removes the line, or all lines that `match` finds

    >>> LineInFile("/etc/ssh/sshd_config", "PermitRootLogin no", match="^#?PermitRootLogin ").desired()
    {'line': 'PermitRootLogin no'}
    """

    line: str = ""
    match: Optional[str] = field(default=None, kw_only=True)
    after: Optional[str] = field(default=None, kw_only=True)

    part = "line"

    def __post_init__(self) -> None:
        super().__post_init__()
        if "\n" in self.line or "\r" in self.line:
            raise ResourceUsageError(f"LineInFile[{self.path}] takes one line; {self.line!r} has several")
        if not self.line and (self.exists or self.match is None):
            raise ResourceUsageError(f"LineInFile[{self.path}] needs a line" + ("" if self.exists else " or a match"))
        for name in ("match", "after"):
            try:
                re.compile(getattr(self, name) or "")
            except re.error as error:
                raise ResourceUsageError(f"LineInFile[{self.path}]: {name} is no regular expression: {error}") from None

    @property
    def identity(self) -> str:
        """A file may have several such lines."""
        return f"{self.path}: {self.line or self.match}"

    def edited(self, text: str) -> str:
        return edited(text, self)

    def wanted(self) -> str:
        return self.line

    def found(self, text: str) -> Any:
        """The line that gives way, how many they are, or None."""
        lines = text.split("\n")
        found = [lines[number] for number in _matching(lines, self) if lines[number] or number < len(lines) - 1]
        if len(found) > 1:
            return f"{len(found)} lines"
        return shown(found[0]) if found else None


def edited(text: str, wanted: LineInFile) -> str:
    """`text` as it must be; the same text when nothing is to be done. Editing twice is editing once."""
    lines = text.split("\n")
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    matching = _matching(lines, wanted)
    if not wanted.exists:
        kept = [line for number, line in enumerate(lines) if number not in matching]
        return "\n".join(kept) + ("\n" if ended and kept else "")
    standing = [number for number, line in enumerate(lines) if line == wanted.line]
    place = standing[-1] if standing else matching[-1] if matching else None
    kept = [wanted.line if n == place else line for n, line in enumerate(lines) if n == place or n not in matching]
    if place is None:
        kept.insert(_place_after(kept, wanted.after), wanted.line)
        ended = True
    return "\n".join(kept) + ("\n" if ended else "")


def _matching(lines: List[str], wanted: LineInFile) -> List[int]:
    """Numbers of the lines that are to give way: found by `match`, or equal to a line that must not be."""
    if wanted.match is not None:
        pattern = re.compile(wanted.match)
        return [number for number, line in enumerate(lines) if pattern.search(line)]
    return [] if wanted.exists else [number for number, line in enumerate(lines) if line == wanted.line]


def _place_after(lines: List[str], after: Optional[str]) -> int:
    if after is not None:
        for number in range(len(lines) - 1, -1, -1):
            if re.search(after, lines[number]):
                return number + 1
    return len(lines)
