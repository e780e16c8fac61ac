"""LineInFile: one line of a file that somebody else owns."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import ABSENT, CannotKnow, Changes, Resource, State, field
from cookline.host.resources.managed_file import verifier
from cookline.host.resources.ownership import absolute_path, restore_context
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import System


class LineInFile(Resource):
    """A line that must stand in a file, or must not. The rest of the file, its mode and owner stay as they are.

    path        the file; it must be there
    line        the line, without its end
    match       a regular expression, searched in each line: the last line that it finds becomes `line`, others that it finds
                are removed; with none, the line is added
    after       a regular expression: the line is added after the last line that it finds; without one, at the end
    verify      a command, or several, run on the staged file `%{path}`; if one fails, nothing has changed
    backup      keep the last five contents
    exists      False removes the line, or all lines that `match` finds

    >>> LineInFile("/etc/ssh/sshd_config", "PermitRootLogin no", match="^#?PermitRootLogin ").desired()
    {'line': 'PermitRootLogin no'}
    """

    path: str
    line: str = ""
    match: Optional[str] = field(default=None, kw_only=True)
    after: Optional[str] = field(default=None, kw_only=True)
    verify: Any = field(default=(), kw_only=True)
    backup: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(path=absolute_path("LineInFile", self.path))
        self._set(verify=(self.verify,) if isinstance(self.verify, str) else tuple(self.verify or ()))
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

    def current(self, host: System) -> State:
        content = host.read(self.path)
        self._look_at_plan(host, content)
        if content is None:
            return dict(ABSENT) if self.exists else {"line": None}
        text = _decoded(content)
        found = None if edited(text, self) == text else shown(text, self)
        return {"line": self.desired()["line"] if edited(text, self) == text else found}

    def _look_at_plan(self, host: System, content: Optional[bytes]) -> None:
        """In a plan, what an earlier resource would write decides. Raises CannotKnow."""
        planned: List[str] = [] if host.apply else host.known.get("planned") or []
        if content is None and planned:
            raise CannotKnow(f"{self.path} does not exist yet; something before it would bring it")
        writer = next((name for name in planned if name.endswith(f"[{self.path}]") or f"[{self.path}: " in name), None)
        if writer is not None:
            raise CannotKnow(f"{writer} would change {self.path} before it")

    def desired(self) -> State:
        return {"line": self.line if self.exists else None}

    def apply(self, host: System, changes: Changes) -> None:
        content = host.read(self.path)
        if content is None:
            raise ResourceError(f"{self.path} does not exist", hint=f"put File({self.path!r}) or its package before")
        check = verifier(host, self.path, self.verify, self.timeout) if self.verify else None
        host.write(self.path, _encoded(edited(_decoded(content), self)), verify=check, backup=self.backup)
        restore_context(host, self.path)

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        content = host.read(self.path)
        if self.sensitive or content is None:
            return None
        return unified_diff(self.path, content, _encoded(edited(_decoded(content), self)))

    def watched_paths(self) -> List[str]:
        return [self.path]

    def declaration(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in ("path", "line", "match", "after", "exists", "sensitive")}


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


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


def shown(text: str, wanted: LineInFile) -> Any:
    """What a report shows as found: the line that gives way, how many they are, or None."""
    lines = text.split("\n")
    found = [lines[number] for number in _matching(lines, wanted) if lines[number] or number < len(lines) - 1]
    if len(found) > 1:
        return f"{len(found)} lines"
    return found[0].encode("utf-8", "replace").decode() if found else None
