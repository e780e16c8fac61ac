"""Connections that stay open, and work on many hosts at once with a bound."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cookline.control.transport.base import Connection, Target, Transport
from cookline.control.transport.bundle import Bundle
from cookline.control.transport.ready import ReadySessions
from cookline.control.transport.session import Session
from cookline.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

# A login costs the controller 8 ms and a host 30; 50 at once keep a small controller busy without starving anybody.
DEFAULT_WIDTH = 50


# Transport -> module beside this one and class; imported when a target asks for it.
TRANSPORTS = {
    "ssh": ("ssh.transport", "SshTransport"),
    "local": ("local", "LocalTransport"),
    "dummy": ("dummy", "DummyTransport"),
}


class Pool:
    """One open connection for each target, made when it is first asked for.

    transports   Target.transport -> what connects it; None means all that there are
    width        how many hosts are worked on, and logged in on, at once
    warm         keep a session ready on each host for the next operation: saves the start of Python there (30 to 50 ms) and
                 costs the host an idle process (12 MB). For a server that stays; a single command gains nothing
    """

    def __init__(
        self, transports: Mapping[str, Transport] | None = None, *, width: int = DEFAULT_WIDTH, warm: bool = False
    ) -> None:
        self.width = width
        self._ready = ReadySessions(self) if warm else None
        self._transports = dict(transports) if transports is not None else {}
        self._known = dict.fromkeys(self._transports, ("", "")) if transports is not None else TRANSPORTS
        self._open: dict[str, Connection] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._logins = threading.BoundedSemaphore(width)
        atexit.register(self.close)

    def connection(self, target: Target) -> Connection:
        """The open connection to `target`, or a new one. Raises Unreachable."""
        key = repr(target)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            connection = self._open.get(key)
            if connection is not None and connection.alive():
                return connection
            if connection is not None:
                connection.close()
            with self._logins:
                self._open[key] = connection = self._transport(target).connect(target)
            return connection

    def _transport(self, target: Target) -> Transport:
        name = target.transport
        if name not in self._known:
            hint = f"known are: {', '.join(sorted(self._known))}"
            raise UsageError(f"{target.instance}: there is no transport {name!r}", hint=hint)
        with self._lock:
            if name not in self._transports:
                module, kind = TRANSPORTS[name]
                self._transports[name] = getattr(importlib.import_module(f"cookline.control.transport.{module}"), kind)()
            return self._transports[name]

    def session(self, target: Target, bundle: Bundle) -> Session:
        """A command on the host that has said hello. Raises LinkLost, Unreachable, and what the host says."""
        ready = self._ready.take(target, bundle) if self._ready else None
        return ready or Session(self.connection(target), bundle)

    def prepare(self, target: Target, bundle: Bundle) -> None:
        """An operation has ended: get the next session ready in the background, when this pool keeps them."""
        if self._ready:
            self._ready.prepare(target, bundle)

    def leaving(self, target: Target) -> contextlib.AbstractContextManager[None]:
        """Around the last operation on a host: nothing is got ready there meanwhile."""
        return self._ready.leaving(target) if self._ready else contextlib.nullcontext()

    def drop(self, target: Target) -> None:
        """Close the connection to `target`: it broke, or the host goes away."""
        if self._ready:
            self._ready.drop(target)
        connection = self._open.pop(repr(target), None)
        if connection is not None:
            connection.close()

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`work` on every item, at most `width` at a time, results in order. The first exception is raised at the end."""
        with ThreadPoolExecutor(self.width, thread_name_prefix="host") as threads:
            return list(threads.map(work, items))

    def close(self) -> None:
        atexit.unregister(self.close)
        if self._ready:
            self._ready.close()
        with self._lock:
            connections, self._open = list(self._open.values()), {}
        for connection in connections:
            with contextlib.suppress(Exception):
                connection.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
