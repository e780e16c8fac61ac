"""What dpkg says is installed, from one read of its status file; who holds its locks."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import os
import re
import struct
import time
from typing import Dict, List, NamedTuple, Optional, Sequence

from cookline.errors import ResourceError
from cookline.host.system import System

STATUS = "/var/lib/dpkg/status"
# What apt-get and dpkg take, in their order; the second is held by `apt-get update`.
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
# Seconds that package work waits for another package manager (DESIGN section 4, step 8).
LOCK_WAIT = 120.0
LOCK_POLL = 0.25
# dpkg's states in which a package waits to be mended, from an interrupted or failed run.
BROKEN = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux


class Installed(NamedTuple):
    """One package; `state` is dpkg's word (installed, config-files, half-configured, ..), `held` whether upgrades leave it."""

    name: str
    state: str
    version: str
    architecture: str
    held: bool = False


class Status:
    """The status file, cut into stanzas once; only what is asked for is parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stanzas: Dict[str, List[str]] = {}
        for stanza in text.split("\n\n"):
            if stanza.startswith("Package: "):
                self.stanzas.setdefault(stanza[9 : stanza.find("\n")], []).append(stanza)

    def find(self, name: str) -> Optional[Installed]:
        """The package "name" or "name:architecture"; of several architectures the one that is installed."""
        name, _, architecture = name.partition(":")
        found = [_parse(stanza) for stanza in self.stanzas.get(name, [])]
        found = [each for each in found if architecture in ("", each.architecture)]
        found.sort(key=lambda each: each.state != "installed")
        return found[0] if found else None

    def installed_versions(self) -> Dict[str, str]:
        """Name -> version of every package that is installed."""
        stanzas = (_parse(stanza) for group in self.stanzas.values() for stanza in group)
        return {each.name: each.version for each in stanzas if each.state == "installed"}

    def provider(self, name: str) -> Optional[Installed]:
        """An installed package that provides the virtual package `name`."""
        pattern = re.compile(rf"^Provides:.*(?<![\w+.-]){re.escape(name)}(?![\w+.-])", re.MULTILINE)
        for match in pattern.finditer(self.text):
            start = self.text.rfind("\n\n", 0, match.start())
            end = self.text.find("\n\n", match.start())
            stanza = self.text[start + 2 if start >= 0 else 0 : end if end >= 0 else len(self.text)]
            if _parse(stanza).state == "installed":
                return _parse(stanza)
        return None

    def broken(self) -> List[str]:
        """Names of packages that an interrupted dpkg left behind."""
        states = "|".join(BROKEN)
        return [
            name
            for name, stanzas in self.stanzas.items()
            if any(re.search(rf"^Status: \S+ \S+ (?:{states})$", stanza, re.MULTILINE) for stanza in stanzas)
        ]


def with_stanza(text: str, name: str, stanza: str) -> str:
    """The status file's text with the stanza of a package replaced, or left out when it is empty."""
    stanzas = (each.strip("\n") for each in text.split("\n\n"))
    kept = [each for each in stanzas if each and not each.startswith(f"Package: {name}\n")]
    return "\n\n".join([*kept, *([stanza] if stanza else [])]) + "\n"


def _parse(stanza: str) -> Installed:
    def value(field: str) -> str:
        match = re.search(rf"^{field}: (.*)$", stanza, re.MULTILINE)
        return match.group(1) if match else ""

    selection, _, state = value("Status").partition(" ")
    return Installed(value("Package"), state.rpartition(" ")[2], value("Version"), value("Architecture"), selection == "hold")


def status(host: System) -> Status:
    """The status file as it stands; read once until something changes the machine."""
    return host.remember("dpkg", lambda: Status((host.read(STATUS) or b"").decode("utf-8", "replace")))  # type: ignore[no-any-return]


def fits(spellings: Sequence[str], pattern: str) -> bool:
    """Whether a version, in any of its spellings, is the wanted one, or of the wanted pattern."""
    return any(fnmatch.fnmatchcase(each, pattern) for each in spellings)


def interrupted(host: System) -> bool:
    """Whether dpkg was stopped in the middle: packages to mend, or a status journal that nobody has merged."""
    return bool(status(host).broken() or host.listing("/var/lib/dpkg/updates"))


def lock_holder(path: str) -> Optional[int]:
    """The process that holds the POSIX lock of `path`; None when it is free or there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            probe = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, probe))
            return None if kind == fcntl.F_UNLCK else pid
        finally:
            os.close(descriptor)
    return None


def wait_for_locks(host: System, seconds: float = LOCK_WAIT) -> None:
    """Return when no other program holds dpkg's locks. Raises ResourceError that names the holder."""
    deadline, told = time.monotonic() + seconds, ""
    while True:
        held = [(path, pid) for path in LOCKS for pid in [lock_holder(path)] if pid is not None]
        if not held:
            return
        path, pid = held[0]
        holder = f"{_command(pid)} (pid {pid})"
        if holder != told:
            host.on_wait("dpkg", holder)
            told = holder
        if time.monotonic() > deadline:
            hint = f"look at it with `ps -fp {pid}`, then run again"
            raise ResourceError(f"{holder} has held {path} for more than {seconds:g} s", hint=hint)
        time.sleep(LOCK_POLL)


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a program"
