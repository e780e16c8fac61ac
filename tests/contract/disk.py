"""A host's disk, looked at from this machine: what is on it, and whether anybody writes to it.

The disk is an overlay: all that differs from the host's image lies in one directory.
"""

from __future__ import annotations

import ctypes
import fnmatch
import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import inotify_add_watch, inotify_init

from tests.lab.hosts import LabHost

# cookline's own, and what the host writes whoever is at work there: its logs, systemd's notes of the run's scope and of logins,
# caches, which apt fills by reading, and what its timers do at midnight.
OWN = (
    "/var/lib/cookline",
    "/var/lib/cookline/*",
    "/var/log/*",
    "/run/log/*",
    "/run/systemd/*",
    "/run/user*",
    "/run/utmp",
    "/run/mount/utab*",
    "/var/cache/*",
    "/var/backups*",
    "/var/lib/logrotate*",
    "/tmp/#*",  # files without a name
)
# What programs note of their work, which nobody wants back: package managers, account tools, systemd, debconf.
NOTES = (
    "/var/lib/dpkg/*-old",
    "/var/lib/dpkg/lock*",
    "/var/lib/dpkg/triggers/*",
    "/var/lib/dpkg/info*",
    "/var/lib/apt/*",
    "/var/lib/systemd/*",
    "/etc/*-",
    "/etc/.pwd.lock",
    "/tmp*",
    "/var/tmp*",
    "/root*",
)
# The kernel's own, what is bound in, cookline's own; and 2,500 directories in which inodes and times must tell it alone.
NOT_WATCHED = ("/proc", "/sys", "/dev", "/srv/cookline-packages", "/var/lib/cookline", "/usr/share", "/usr/lib")
EVENTS = In.IN_MODIFY | In.IN_ATTRIB | In.IN_CREATE | In.IN_DELETE | In.IN_MOVE | In.IN_CLOSE_WRITE
HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, length of the name
NAMES = ("IN_MODIFY", "IN_ATTRIB", "IN_CREATE", "IN_DELETE", "IN_MOVED_FROM", "IN_MOVED_TO", "IN_CLOSE_WRITE", "IN_Q_OVERFLOW")

KEPT = ("st_mode", "st_uid", "st_gid", "st_mtime_ns")

State = tuple[object, ...]


class Disk:
    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.upper, self.lower = host.machine.directory / "upper", host.machine.image.rootfs

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each path that differs from the image or has ever differed, and where it lies."""
        for parent, directories, names in os.walk(self.upper):
            below = parent[len(str(self.upper)) :]
            for name in (*directories, *names):
                yield f"{below}/{name}", Path(parent, name)

    def stamps(self) -> dict[str, State]:
        """Path -> inode, times of content and of metadata; of a directory its rights in place of the second time, which changes
        when the overlay copies something into it."""
        found = {path: os.lstat(place) for path, place in self.files() if not ignored(path, OWN)}
        return {path: (each.st_ino, *_stamp(each)) for path, each in found.items()}

    def written(self, before: dict[str, State]) -> list[str]:
        """Paths that have other stamps than before."""
        after = self.stamps()
        changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
        return sorted(path for path in changed if path in before or not self._only_copied(path))

    def _only_copied(self, path: str) -> bool:
        """Whether this is a directory of the image that the overlay has copied, as something below it has changed."""
        try:
            old, new = os.lstat(self.lower / path[1:]), os.lstat(self.upper / path[1:])
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(new.st_mode) and all(getattr(old, name) == getattr(new, name) for name in KEPT)

    def states(self) -> dict[str, State | None]:
        """Path -> what is there: kind, mode, owner, group, content or target; None for what the host has removed."""
        return {path: state(place) for path, place in self.files() if not ignored(path, OWN)}

    def differences(self, before: dict[str, State | None], but: tuple[str, ...] = ()) -> list[str]:
        """Paths that are not as they were, but for notes of programs and those that fit `but`."""
        now = self.states()
        found = []
        for path in sorted({*before, *now}):
            was, is_now = (each[path] if path in each else state(self.lower / path[1:]) for each in (before, now))
            if was != is_now and not ignored(path, (*NOTES, *but)):
                found.append(f"{path}: {was} -> {is_now}")
        return found

    def left_over(self) -> list[str]:
        """Paths that cookline makes for the length of a change."""
        run = self.host.root / "run"
        staged = [
            path for path, place in self.files() if "/.cookline-" in path and os.path.lexists(place) and not whiteout(place)
        ]
        staged = [path for path in staged if os.path.basename(path) != ".cookline-release"]
        return [*staged, *(f"/run/{name}" for name in os.listdir(run) if name.startswith("cookline-"))]


def _stamp(seen: os.stat_result) -> State:
    if stat.S_ISDIR(seen.st_mode):
        return tuple(getattr(seen, name) for name in KEPT)
    return seen.st_mtime_ns, seen.st_ctime_ns


def ignored(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def whiteout(place: Path) -> bool:
    """How an overlay notes that a file of the image is removed."""
    seen = os.lstat(place)
    return stat.S_ISCHR(seen.st_mode) and seen.st_rdev == 0


def state(place: Path) -> State | None:
    try:
        seen = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISCHR(seen.st_mode) and seen.st_rdev == 0:
        return None
    content = ""
    if stat.S_ISLNK(seen.st_mode):
        content = os.readlink(place)
    elif stat.S_ISREG(seen.st_mode):
        content = hashlib.sha256(place.read_bytes()).hexdigest()[:12]
    return oct(seen.st_mode), seen.st_uid, seen.st_gid, content


@dataclass
class Watched:
    """What was written while the host was watched: "IN_CREATE /etc/x"."""

    events: list[str] = field(default_factory=list)


@contextmanager
def watched(host: LabHost) -> Iterator[Watched]:
    """Every change of every file of the host, by inotify, and by inode and times of what lies on its disk."""
    disk, seen = Disk(host), Watched()
    before = disk.stamps()
    descriptor = inotify_init()
    assert descriptor >= 0, ctypes.get_errno()
    os.set_blocking(descriptor, False)
    try:
        places = _watch(descriptor, str(host.root))
        yield seen
        seen.events = sorted(set(_events(descriptor, places)))
    finally:
        os.close(descriptor)
    seen.events += [f"inode or times of {path}" for path in disk.written(before)]


def _watch(descriptor: int, root: str) -> dict[int, str]:
    places = {}
    for parent, directories, _ in os.walk(root):
        below = parent[len(root) :]
        directories[:] = [name for name in directories if f"{below}/{name}" not in NOT_WATCHED]
        watch = inotify_add_watch(descriptor, os.fsencode(parent), EVENTS | In.IN_ONLYDIR)
        if watch >= 0:
            places[watch] = below
    return places


def _events(descriptor: int, places: dict[int, str]) -> Iterator[str]:
    while True:
        try:
            data = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            watch, mask, _, length = HEADER.unpack_from(data, position)
            name = data[position + HEADER.size : position + HEADER.size + length].rstrip(b"\0").decode()
            position += HEADER.size + length
            path = f"{places.get(watch, '')}/{name}".rstrip("/") or "/"
            kinds = [each for each in NAMES if mask & getattr(In, each)]
            if kinds and not ignored(path, OWN):
                yield f"{kinds[0]} {path}"
