"""Watches managed paths by their parent directories, with one inotify instance for all of them.

watchdog's Observer starts an inotify instance and two threads for each scheduled path (measured: 602 threads and 906
descriptors for 300 paths; Debian allows 128 instances), and its reader drops the news that the kernel's queue ran over, which
is a watch that silently misses things. So this takes watchdog's binding to the kernel alone and reads in the daemon's own
loop, without a thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Dict, Iterable, Iterator, Set, Tuple

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import inotify_add_watch, inotify_init, inotify_rm_watch

from cookline.errors import HostStateError

# Writing is told when the file is closed, not for each write: a log that grows is no drift.
CHANGES = In.IN_CLOSE_WRITE | In.IN_MOVED_TO | In.IN_MOVED_FROM | In.IN_CREATE | In.IN_DELETE | In.IN_ATTRIB
GONE = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED
MASK = CHANGES | In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_ONLYDIR
HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, length of the name
LIMIT = "the limit of watches is reached (sysctl fs.inotify.max_user_watches)"
ANY = "/"  # no name in a directory is called so
# One read takes what has come in; a full kernel queue (16384 events) takes some more turns of the loop.
READ_BYTES = 64 * 1024
# A directory may come to be while its parent's watch is being added; deeper races than this are left to the timer.
ARRANGE_ATTEMPTS = 8


class Watch:
    """Tells which of a set of paths were touched.

    `fd` is readable when there is something to `read()`. `unwatched` maps directories that the kernel would not watch to the
    reason; `overflowed` is True after events were lost, until somebody sets it back.
    """

    def __init__(self) -> None:
        self.fd = inotify_init()
        if self.fd == -1:
            raise HostStateError(
                "the kernel gives no inotify instance, so changes are seen by the timer only",
                hint="sysctl fs.inotify.max_user_instances says how many there may be",
            )
        os.set_inheritable(self.fd, False)
        os.set_blocking(self.fd, False)
        self.unwatched: Dict[str, str] = {}
        self.overflowed = False
        self._paths: Set[str] = set()
        self._names: Dict[str, Dict[str, Set[str]]] = {}  # directory -> name in it -> the managed paths that it concerns
        self._pending: Dict[str, Set[str]] = {}  # the same names as "directory/name", of directories yet to come
        self._watches: Dict[int, Set[str]] = {}  # watch descriptor -> directories (two names may mean one directory)

    @property
    def directories(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def watch(self, paths: Iterable[str]) -> None:
        """Watch these paths and no others. They need not exist, nor the directories that they are in.

        "/etc/motd" is that name in its directory; "/etc/nginx/" with a slash is every name in that directory.
        """
        self._paths = set(paths)
        self._arrange()

    def read(self) -> Set[str]:
        """The managed paths that were touched since the last read."""
        touched: Set[str] = set()
        rearrange = False
        for descriptor, mask, name in self._events():
            if mask & In.IN_Q_OVERFLOW:
                self.overflowed = True
                touched |= self._paths
                rearrange = True
                continue
            for directory in self._watches.get(descriptor, ()):
                concerned = self._concerned(directory, mask, name)
                touched |= concerned
                rearrange |= bool(mask & GONE) or (bool(concerned) and self._moves(directory, name))
            if mask & (In.IN_IGNORED | In.IN_MOVE_SELF):
                self._forget(descriptor, by_kernel=bool(mask & In.IN_IGNORED))
        if rearrange:
            self._arrange()
        return touched

    def close(self) -> None:
        os.close(self.fd)

    # -- events ----------------------------------------------------------------------------------------------------

    def _events(self) -> Iterator[Tuple[int, int, str]]:
        try:
            buffer = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(buffer):
            descriptor, mask, _, length = HEADER.unpack_from(buffer, offset)
            offset += HEADER.size
            yield descriptor, mask, os.fsdecode(buffer[offset : offset + length].rstrip(b"\0"))
            offset += length

    def _concerned(self, directory: str, mask: int, name: str) -> Set[str]:
        names = self._names.get(directory, {})
        if mask & GONE:
            return set().union(*names.values())
        return names.get(name, set()) | names.get(ANY, set())

    def _moves(self, directory: str, name: str) -> bool:
        """Whether this name decides which directories have to be watched."""
        path = os.path.join(directory, name)
        return path in self._pending or os.path.islink(path)

    # -- which directories -----------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Watch the directories that the paths need now, drop the others."""
        for _ in range(ARRANGE_ATTEMPTS):
            self._plan()
            self._watch_planned()
            if not any(os.path.lexists(path) for path in self._pending):
                return

    def _plan(self) -> None:
        self._names, self._pending = {}, {}
        for path in self._paths:
            for spelling in {os.path.normpath(path), os.path.realpath(path)}:
                directory, name = (spelling, ANY) if path.endswith("/") else os.path.split(spelling)
                missing = False
                while not os.path.isdir(directory):
                    directory, name = os.path.split(directory)
                    missing = True
                self._names.setdefault(directory, {}).setdefault(name, set()).add(path)
                if missing:
                    self._pending.setdefault(os.path.join(directory, name), set()).add(path)

    def _watch_planned(self) -> None:
        wanted: Dict[int, Set[str]] = {}
        self.unwatched = {}
        for directory in self._names:
            try:
                wanted.setdefault(self._add(directory), set()).add(directory)
            except OSError as error:
                self.unwatched[directory] = error.strerror or str(error)
        for descriptor in set(self._watches) - set(wanted):
            self._forget(descriptor, by_kernel=False)
        self._watches = wanted

    def _add(self, directory: str) -> int:
        descriptor: int = inotify_add_watch(self.fd, os.fsencode(directory), MASK)
        if descriptor == -1:
            number = ctypes.get_errno()
            raise OSError(number, LIMIT if number == errno.ENOSPC else os.strerror(number), directory)
        return descriptor

    def _forget(self, descriptor: int, *, by_kernel: bool) -> None:
        if self._watches.pop(descriptor, None) is not None and not by_kernel:
            inotify_rm_watch(self.fd, descriptor)


def touch(path: str) -> None:
    """Make the event that a watch of `path` must see. Raises OSError."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
