"""IniSetting: one key of an INI file that somebody else owns."""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Optional

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import field
from cookline.host.resources.edited_file import EditedFile, shown

SECTION = re.compile(r"\s*\[(?P<name>[^\]]*)\]")
# "key = value", "key: value" is not one: colons stand in too many keys and values. Comments begin with # or ;.
SETTING = re.compile(
    r"(?P<indent>\s*)(?P<key>[^\s#;=\[][^=]*?)(?P<separator>\s*=[^\S\n]*)(?P<value>.*?)(?P<end>\s*)", re.DOTALL
)
# A comment behind a value has a space before it.
INLINE = re.compile(r"\s+[#;].*$", re.DOTALL)


class Setting(NamedTuple):
    """One line `key = value`: `lead` is all before the value, `trail` all after it."""

    number: int
    lead: str
    value: str
    trail: str


class IniSetting(EditedFile):
    """One key of one section. Comments, order, spaces and all other lines stay as they are.

    path        the file; it must be there, or say `create`
    section     the section's name without brackets; "" is what stands before the first section
    key         exactly as written, with capitals
    value       text or a number; the spelling of true and false is the file's own, so no bool
    separator   between key and value on a new line; a line that is changed keeps its own
    create      make the file when it is not there
    verify      a command, or several, run on the staged file `%{path}`; if one fails, nothing has changed
    backup      keep the last five contents
    exists      False removes the key; the section stays

    Of a key that stands several times the last one is changed and the others are removed. A new key goes below a commented
    `#key = ..` of its section when there is one, else to the section's end; a new section goes to the end of the file.
    A comment behind a value is kept.

    >>> IniSetting("/etc/php.ini", "PHP", "memory_limit", "256M").desired()
    {'value': '256M'}
    >>> IniSetting("/etc/my.cnf", "mysqld", "port", 3307).edited("[mysqld]\\nport=3306 # the default\\n")
    '[mysqld]\\nport=3307 # the default\\n'
    """

    section: str
    key: str
    value: Any = None
    separator: str = field(default=" = ", kw_only=True)

    part = "value"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"IniSetting[{self.path}]"
        if isinstance(self.value, bool) or not isinstance(self.value, (str, int, float, type(None))):
            raise ResourceUsageError(f"{where} takes text or a number as the value of {self.key!r}, not {self.value!r}")
        if self.exists == (self.value is None):
            raise ResourceUsageError(f"{where} needs a value for {self.key!r}, or exists=False and none")
        self._set(value=None if self.value is None else str(self.value))
        match = SETTING.fullmatch(f"{self.key}=")
        if match is None or match.group("key") != self.key or "\n" in self.key:
            raise ResourceUsageError(f"{where} needs a key without '=', not {self.key!r}")
        if re.search(r"[\]\n]", self.section):
            raise ResourceUsageError(f"{where} needs the name of a section, not {self.section!r}")
        value = "" if self.value is None else str(self.value)
        if "\n" in value or value != value.strip():
            raise ResourceUsageError(f"{where} needs a value of one line without spaces around it, not {self.value!r}")
        if self.separator.strip() != "=" or "\n" in self.separator:
            raise ResourceUsageError(f"{where} needs a separator such as '=' or ' = ', not {self.separator!r}")

    @property
    def identity(self) -> str:
        return f"{self.path}: [{self.section}] {self.key}"

    def wanted(self) -> Any:
        return self.value

    def found(self, text: str) -> Optional[str]:
        settings = self._settings(text.split("\n"))
        if len(settings) > 1 and settings[-1].value == self.value:
            return f"{len(settings)} times"
        return shown(settings[-1].value) if settings else None

    def edited(self, text: str) -> str:
        lines = text.split("\n")
        settings = self._settings(lines)
        if settings and self.exists:
            last = settings.pop()
            if last.value != self.value:
                lines[last.number] = f"{last.lead}{self.value}{last.trail}"
        elif self.exists:
            self._add(lines)
        dropped = {each.number for each in settings}
        return "\n".join([line for number, line in enumerate(lines) if number not in dropped])

    def _members(self, lines: List[str]) -> List[int]:
        """Numbers of the lines of this section, without its heading."""
        inside, members = self.section == "", []
        for number, line in enumerate(lines):
            heading = SECTION.match(line)
            if heading is not None:
                inside = heading.group("name").strip() == self.section.strip() != ""
            elif inside:
                members.append(number)
        return members

    def _settings(self, lines: List[str]) -> List[Setting]:
        """Where the key stands, in order."""
        found = []
        for number in self._members(lines):
            match = SETTING.fullmatch(lines[number])
            if match is not None and match.group("key") == self.key:
                found.append(self._split(number, match))
        return found

    def _split(self, number: int, match: "re.Match[str]") -> Setting:
        """A value that is wanted with a comment's sign in it is compared with all that stands behind the key."""
        value, trail = match.group("value"), match.group("end")
        comment = None if self.value is not None and INLINE.search(f" {self.value}") else INLINE.search(f" {value}")
        if comment is not None:
            cut = max(comment.start() - 1, 0)
            value, trail = value[:cut], value[cut:] + trail
            trail = trail if trail[0].isspace() else f" {trail}"
        lead = match.group("indent") + match.group("key") + match.group("separator")
        return Setting(number, lead, value, trail)

    def _add(self, lines: List[str]) -> None:
        new = f"{self.key}{self.separator}{self.value}".rstrip()
        members = self._members(lines)
        commented = re.compile(rf"\s*[#;]\s*{re.escape(self.key)}\s*=")
        example = [number for number in members if commented.match(lines[number])]
        filled = [number for number in members if lines[number].strip()]
        heading = next((number for number, line in enumerate(lines) if self._is_heading(line)), None)
        if example:
            lines.insert(example[-1] + 1, new)
        elif filled or self.section == "":
            lines.insert(filled[-1] + 1 if filled else 0, new)
        elif heading is not None:
            lines.insert(heading + 1, new)
        else:
            _end_with(lines, f"[{self.section}]", new)
        if lines[-1]:
            lines.append("")

    def _is_heading(self, line: str) -> bool:
        match = SECTION.match(line)
        return match is not None and self.section != "" and match.group("name").strip() == self.section.strip()


def _end_with(lines: List[str], heading: str, new: str) -> None:
    """A section at the end, with an empty line before it."""
    if not lines[-1]:
        lines.pop()
    if lines and lines[-1].strip():
        lines.append("")
    lines += [heading, new, ""]
