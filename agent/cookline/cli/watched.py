"""cookline push --watch: a folder of definitions is the source of truth; what changes in it is pushed, and nothing else."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from cookline.cli.checkout import Checkout
from cookline.cli.explain import is_stack
from cookline.cli.pushing import author, frozen, newest_number, push_to, told
from cookline.cli.remote import Server
from cookline.cli.session import session
from cookline.control.lifecycle.abandoned import refuse_to_abandon
from cookline.errors import CooklineError, UsageError

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision

# Editors save a file in several steps, and git many files: a push follows when nothing happened for this long ..
QUIET_SECONDS = 0.4
# .. or when this much time has passed since the first change.
PATIENCE_SECONDS = 10.0

CHANGES = ("created", "modified", "deleted", "moved")
IGNORED = frozenset({".git", ".hg", ".svn", ".cookline", "__pycache__"})


def watch_definitions(folder: Path, message: str, *, as_json: bool, stop: threading.Event | None = None) -> None:
    """Push every definition in `folder` (and in its folder `stacks`) now and after each change, until `stop` or Ctrl-C."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="--watch takes a folder of definitions, such as stacks/")
    watching = _Watching(folder, message, as_json)
    stopped = stop or threading.Event()
    try:
        watching.push_all()
        if not as_json:
            session().say(f"watching {folder}; Ctrl-C ends it")
        while not stopped.is_set():
            if watching.changed.wait(timeout=0.5):
                watching.settle()
                watching.push_all()
    except KeyboardInterrupt:
        pass
    finally:
        watching.close()


class _Watching:
    """`changed` is set by watchdog's thread; everything else happens in the caller's."""

    def __init__(self, folder: Path, message: str, as_json: bool) -> None:
        self.folder, self.message, self.as_json = folder, message, as_json
        self.changed = threading.Event()
        self.checkout = Checkout(folder)
        self._told: dict[Path, str] = {}
        self._sent: dict[Path, str] = {}
        self._roots: set[Path] = set()
        self._observer = Observer()
        self._observer.start()
        self._watch(folder.resolve())

    # -- pushing -------------------------------------------------------------------------------------------------------

    def push_all(self) -> None:
        """Push what differs from the newest revision; a mistake is told once, and keeps nothing else from being pushed."""
        self.changed.clear()
        for file in definitions_in(self.folder):
            try:
                for root in self._push(file):
                    self._watch(root)
                self._told.pop(file, None)
            except CooklineError as error:
                if self._told.get(file) != str(error):
                    session().warn(f"cookline: {file.name} was not pushed:\n{error}")
                self._told[file] = str(error)

    def _push(self, file: Path) -> set[Path]:
        """The folders that the definition is made of."""
        revision = frozen(file, quiet=True)
        roots = self._roots_of(revision)
        server = Server.of_environment()
        if server is not None:
            self._send(server, revision, file)
            return roots
        before = newest_number(revision.stack.name)
        refuse_to_abandon(session().store, revision)
        who, why = self.checkout.standing() or (author(), f"{file.name} changed")
        pushed = session().store.push(revision, author=who, message=self.message or why)
        if pushed.number != before:
            told(pushed, before, revision, as_json=self.as_json)
        return roots

    def _send(self, server: Server, revision: Revision, file: Path) -> None:
        """To a server on the network, when it is not what was sent last."""
        if self._sent.get(file) == revision.hash:
            return
        _, why = self.checkout.standing() or ("", f"{file.name} changed")
        push_to(server, revision, self.message or why, as_json=self.as_json)
        self._sent[file] = revision.hash

    def _roots_of(self, revision: Revision) -> set[Path]:
        folders = [cookbook.folder.parent for cookbook in revision.cookbooks.values() if cookbook.folder]
        sources = [app.source for app in revision.stack.apps.values() if app.source]
        folders += [revision.path(each.path) for each in sources if each.type == "local" and each.path]
        return {folder.resolve() for folder in folders}

    # -- watching ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until nothing has happened for a moment and git is not at work."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            self.changed.clear()
            if not self.changed.wait(QUIET_SECONDS) and not self.checkout.busy():
                return

    def _watch(self, folder: Path) -> None:
        """Watch a folder with all below it, to the end: what is no longer used costs a look that finds nothing."""
        if any(root in (folder, *folder.parents) for root in self._roots) or not folder.is_dir():
            return
        self._roots.add(folder)
        self._observer.schedule(_Handler(self.changed), str(folder), recursive=True)
        # it may have changed between the push and now
        self.changed.set()

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    """What watchdog calls with each event."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type not in CHANGES or (event.is_directory and event.event_type == "modified"):
            return
        if not IGNORED.intersection(Path(str(event.src_path)).parts):
            self._changed.set()


def definitions_in(folder: Path) -> list[Path]:
    """The stack files of a folder, and of its folder `stacks` as `cookline init` lays it out."""
    found = [each for pattern in ("*.yml", "*.yaml", "stacks/*.yml", "stacks/*.yaml") for each in folder.glob(pattern)]
    return sorted(each for each in found if is_stack(each))
