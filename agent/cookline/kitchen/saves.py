"""Which files were saved: watchdog below some folders, with what editors do besides left out."""

from __future__ import annotations

import queue
from collections.abc import Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from cookline.errors import CooklineError

# An editor writes, renames and removes within a few milliseconds; that is one save.
QUIET_SECONDS = 0.02
# Looking is no change.
CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})


class Saves:
    """`wait` returns the files of the next save. `watch` may be called again with other folders."""

    def __init__(self) -> None:
        self._observer: BaseObserver = Observer()
        self._queue: queue.Queue[Path] = queue.Queue()
        self._watched: set[tuple[Path, bool]] = set()
        self._observer.start()

    def watch(self, folders: Iterable[tuple[Path, bool]]) -> None:
        """Watch folders, given as (folder, whether with all below it), as well. Raises CooklineError."""
        for folder, recursive in folders:
            if (folder, recursive) in self._watched or not folder.is_dir():
                continue
            try:
                self._observer.schedule(_Handler(self._queue), str(folder), recursive=recursive)
            except OSError as error:
                hint = "sysctl fs.inotify.max_user_watches says how many folders a user can watch"
                raise CooklineError(f"cannot watch {folder}: {error}", hint=hint) from None
            self._watched.add((folder, recursive))

    def wait(self, timeout: float | None = None) -> set[Path]:
        """The files that were changed together; empty when nothing was for `timeout` seconds."""
        try:
            saved = {self._queue.get(timeout=timeout)}
        except queue.Empty:
            return set()
        while True:
            try:
                saved.add(self._queue.get(timeout=QUIET_SECONDS))
            except queue.Empty:
                return saved

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, found: queue.Queue[Path]) -> None:
        self._found = found

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory or event.event_type not in CHANGES:
            return
        for name in (event.src_path, event.dest_path):
            path = Path(name.decode() if isinstance(name, bytes) else name)
            if name and not is_scratch(path):
                self._found.put(path)


def is_scratch(path: Path) -> bool:
    """Files of editors and interpreters: hidden ones, backups, swap files, bytecode. vim tries names such as 4913."""
    name = path.name
    return (
        any(part == "__pycache__" for part in path.parts)
        or name.startswith((".", "#"))
        or name.endswith(("~", ".pyc", ".swp", ".swx", ".tmp"))
        or name.isdigit()
    )
