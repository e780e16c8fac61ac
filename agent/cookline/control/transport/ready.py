"""Sessions that wait on hosts for the next operation, Python started and our code loaded."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cookline.control.transport.base import Target
from cookline.control.transport.bundle import Bundle
from cookline.control.transport.session import Session
from cookline.errors import CooklineError

if TYPE_CHECKING:
    from cookline.control.transport.pool import Pool

# Far below the hour after which a host may collect the tree that the session runs from.
OLD_AFTER_SECONDS = 600.0
# Starting them is never urgent; two threads keep up with a collection of all hosts once a minute.
THREADS = 2
# A host that is left does not wait longer for a session that is on its way: it would be one that does not answer.
START_SECONDS = 30.0


@dataclass(frozen=True)
class ReadySession:
    session: Session
    bundle: Bundle
    since: float

    def fits(self, bundle: Bundle) -> bool:
        young = time.monotonic() - self.since < OLD_AFTER_SECONDS
        return young and self.bundle.hashes == bundle.hashes and self.session.channel.is_open()


class ReadySessions:
    """At most one for each target."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ready: dict[str, ReadySession] = {}
        self._starting: set[str] = set()
        self._leaving: set[str] = set()
        self._lock = threading.Lock()
        self._started = threading.Condition(self._lock)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ready")

    def take(self, target: Target, bundle: Bundle) -> Session | None:
        with self._lock:
            ready = self._ready.pop(repr(target), None)
        if ready is None or ready.fits(bundle):
            return ready.session if ready else None
        ready.session.close()
        return None

    def prepare(self, target: Target, bundle: Bundle) -> None:
        key = repr(target)
        with self._lock:
            if key in self._ready or key in self._starting or key in self._leaving:
                return
            self._starting.add(key)
        try:
            self._threads.submit(self._start, key, target, bundle)
        except RuntimeError:  # the pool is closing
            with self._lock:
                self._starting.discard(key)

    def _start(self, key: str, target: Target, bundle: Bundle) -> None:
        """A host that cannot be reached now is left to the next operation, which says so."""
        session = None
        with contextlib.suppress(CooklineError, OSError):
            session = Session(self._pool.connection(target), bundle)
            session.send({"operation": "prepare"})
        with self._lock:
            self._starting.discard(key)
            self._started.notify_all()
            if session is not None:
                self._ready[key] = ReadySession(session, bundle, time.monotonic())

    def drop(self, target: Target) -> None:
        with self._lock:
            ready = self._ready.pop(repr(target), None)
        if ready is not None:
            ready.session.close()

    @contextlib.contextmanager
    def leaving(self, target: Target) -> Iterator[None]:
        """Inside, no session waits on the host or is on its way there: what one would bring must not come back."""
        key = repr(target)
        with self._lock:
            self._leaving.add(key)
            self._started.wait_for(lambda: key not in self._starting, timeout=START_SECONDS)
        self.drop(target)
        try:
            yield
        finally:
            with self._lock:
                self._leaving.discard(key)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        with self._lock:
            sessions, self._ready = list(self._ready.values()), {}
        for ready in sessions:
            with contextlib.suppress(Exception):
                ready.session.close()
