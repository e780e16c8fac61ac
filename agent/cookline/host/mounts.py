"""What is mounted, from /proc/self/mountinfo; and the lines of /etc/fstab, of which one is changed and all others stay."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional

from cookline.host.system import System

FSTAB = "/etc/fstab"
MOUNTINFO = "/proc/self/mountinfo"


class Mounted(NamedTuple):
    """One file system in its place; `options` are those of this mount alone, as "rw,relatime"."""

    point: str
    options: str
    type: str
    source: str


def unescaped(text: str) -> str:
    r"""Spaces stand as \040 in both files."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def escaped(text: str) -> str:
    return re.sub(r"[\s\\#]", lambda match: f"\\{ord(match.group()):03o}", text)


def mounted(host: System) -> List[Mounted]:
    """In the order of mounting: of two on one point the later is the one that is seen. See proc_pid_mountinfo(5)."""
    return host.remember("mounts", lambda: parse((host.read(MOUNTINFO) or b"").decode("utf-8", "replace")))  # type: ignore[no-any-return]


def parse(text: str) -> List[Mounted]:
    found = []
    for line in text.splitlines():
        place, _, origin = line.partition(" - ")
        fields, names = place.split(), origin.split()
        if len(fields) >= 6 and len(names) >= 2:
            found.append(Mounted(unescaped(fields[4]), fields[5], names[0], unescaped(names[1])))
    return found


def points(host: System) -> List[str]:
    return [each.point for each in mounted(host)]


def at(host: System, point: str) -> Optional[Mounted]:
    """What is seen at `point`."""
    return next((each for each in reversed(mounted(host)) if each.point == point), None)


def fstab(host: System) -> List[str]:
    text = (host.read(FSTAB) or b"").decode("utf-8", "surrogateescape")
    return text.split("\n")


def entry(lines: List[str], field: int, value: str) -> Optional[str]:
    """The entry whose field (0 the device, 1 the mount point) is `value`, with single spaces; None when there is none."""
    found = [line for line in lines if _is_entry(line, field, value)]
    return " ".join(found[-1].split()) if found else None


def edited(lines: List[str], field: int, value: str, new: Optional[str]) -> List[str]:
    """The lines with the entry put in its old one's place, or at the end; None takes it out. All others stay as they are."""
    numbers = [number for number, line in enumerate(lines) if _is_entry(line, field, value)]
    result = [line for number, line in enumerate(lines) if number not in numbers]
    if new is None:
        return result
    # the same number of lines stands before the first entry, with or without it
    place = numbers[0] if numbers else len(result) - (1 if result and not result[-1] else 0)
    return [*result[:place], new, *(result[place:] or [""])]


def content(lines: List[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def write(host: System, lines: List[str]) -> None:
    """Put the table in place, and let systemd make its units of it where it is there."""
    host.write(FSTAB, content(lines), backup=True)
    if host.status("/run/systemd/system") is not None:
        host.run(["systemctl", "daemon-reload"])


def _is_entry(line: str, field: int, value: str) -> bool:
    words = line.split()
    return len(words) >= 3 and not words[0].startswith("#") and unescaped(words[field]) == value
