"""BlockInFile: some lines of a file that somebody else owns, between two markers."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import field
from cookline.host.resources.edited_file import EditedFile, shown


class BlockInFile(EditedFile):
    """Lines between the markers `# BEGIN NAME` and `# END NAME`. All that stands outside of them stays as it is.

    path        the file; it must be there, or say `create`
    block       the lines; a missing end of the last line is added
    marker      the NAME in both markers; a file may have blocks of several names
    comment     what begins a comment in this file; for comments that have an end too, a pair: ("<!--", "-->")
    after       a regular expression: a new block goes after the last line that it finds; without one, at the end
    before      a regular expression: a new block goes before the first line that it finds
    create      make the file when it is not there
    verify      a command, or several, run on the staged file `%{path}`; if one fails, nothing has changed
    backup      keep the last five contents
    exists      False removes the block with its markers

    >>> BlockInFile("/etc/hosts", "198.51.100.7 db", marker="shop").desired()
    {'block': '198.51.100.7 db\\n'}
    >>> BlockInFile("/etc/hosts", "198.51.100.7 db", marker="shop").edited("127.0.0.1 localhost\\n").splitlines()
    ['127.0.0.1 localhost', '# BEGIN shop', '198.51.100.7 db', '# END shop']
    """

    block: str = ""
    marker: str = field(default="cookline", kw_only=True)
    comment: Any = field(default="#", kw_only=True)
    after: Optional[str] = field(default=None, kw_only=True)
    before: Optional[str] = field(default=None, kw_only=True)

    part = "block"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.marker or self.marker != self.marker.strip() or "\n" in self.marker:
            raise ResourceUsageError(f"BlockInFile[{self.path}] needs a marker of one line, not {self.marker!r}")
        self._set(comment=(self.comment, "") if isinstance(self.comment, str) else tuple(self.comment))
        if len(self.comment) != 2 or "\n" in "".join(self.comment):
            raise ResourceUsageError(f"BlockInFile[{self.path}] takes one sign for comments, or a pair of them")
        if any(line in self._markers() for line in self.block.split("\n")):
            raise ResourceUsageError(f"BlockInFile[{self.path}] has a block that contains its own marker {self.marker!r}")
        for name in ("after", "before"):
            try:
                re.compile(getattr(self, name) or "")
            except re.error as error:
                raise ResourceUsageError(f"BlockInFile[{self.path}]: {name} is no regular expression: {error}") from None
        if self.block and not self.block.endswith("\n"):
            self._set(block=self.block + "\n")

    @property
    def identity(self) -> str:
        return f"{self.path}: {self.marker}"

    def _markers(self) -> Tuple[str, str]:
        begin, end = self.comment
        return f"{begin} BEGIN {self.marker} {end}".rstrip(), f"{begin} END {self.marker} {end}".rstrip()

    def wanted(self) -> str:
        return self.block

    def found(self, text: str) -> Optional[str]:
        place = self._place(text.split("\n"))
        lines = text.split("\n")
        return None if place is None else shown("".join(f"{line}\n" for line in lines[place[0] + 1 : place[1]]))

    def _place(self, lines: List[str]) -> Optional[Tuple[int, int]]:
        """Numbers of the lines of both markers. Raises ResourceError when one of them is missing, as nobody knows then what
        is the block's."""
        begin, end = self._markers()
        begins = [number for number, line in enumerate(lines) if line == begin]
        ends = [number for number, line in enumerate(lines) if line == end]
        if not begins and not ends:
            return None
        if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
            seen = f"{len(begins)} lines {begin!r} and {len(ends)} lines {end!r}"
            message = f"{self.path} has {seen}; one of each, in this order, is a block"
            raise ResourceError(message, hint="mend the markers by hand")
        return begins[0], ends[0]

    def edited(self, text: str) -> str:
        lines = text.split("\n")
        place = self._place(lines)
        begin, end = self._markers()
        block = [begin, *self.block.split("\n")[:-1], end] if self.exists else []
        if place is not None:
            return "\n".join([*lines[: place[0]], *block, *lines[place[1] + 1 :]])
        if not block:
            return text
        if lines[-1]:
            lines.append("")  # the last line had no end
        number = self._number_of_new(lines[:-1])
        return "\n".join([*lines[:number], *block, *lines[number:]])

    def _number_of_new(self, lines: List[str]) -> int:
        if self.after is not None:
            found = [number for number, line in enumerate(lines) if re.search(self.after, line)]
            return found[-1] + 1 if found else len(lines)
        if self.before is not None:
            return next((number for number, line in enumerate(lines) if re.search(self.before, line)), len(lines))
        return len(lines)
