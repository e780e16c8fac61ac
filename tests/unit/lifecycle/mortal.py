"""Controllers that die and hosts that do not: a crash at any write to the store, within one process.

At the chosen write everything on disk is copied, as a SIGKILL would leave it, and the old controller is cut off from all hosts
and providers. What it still does, it does to files that nobody reads again; its successor works on the copy.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kitchen import FakeProvider

from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.control.store.store import Store
from cookline.control.transport.base import Connection, Target
from cookline.control.transport.dummy import DummyTransport
from cookline.control.transport.pool import Pool
from cookline.errors import HostStateError

DATABASES = ("store.db", "engine.db")


class World:
    """What outlives a controller: the hosts and whoever powers them."""

    def __init__(self) -> None:
        self.hosts = DummyTransport()
        self.provider = FakeProvider()


class Mortal:
    """One controller on `directory`; `dispatcher` and `store` are its. It is a transport and a provider to its dispatcher.

    A `server` launches the durable engine at once; others when something needs it.
    """

    name = "dummy"
    can_start = True

    def __init__(self, directory: Path, world: World, *, server: bool = False) -> None:
        self.directory, self.world = directory, world
        self.store = Store(directory)
        self.dead = False
        self.connections: list[Connection] = []
        self.pool = Pool({"dummy": self})
        self.dispatcher = Dispatcher(self.store, pool=self.pool, open_provider=self._open, user="ann", name="test")
        if server:
            self.dispatcher.engine()

    def _open(self, name: str, directory: Path) -> Any:
        if name == "container":
            return self
        from cookline.control.providers.registry import open_provider

        return open_provider(name, directory)

    # -- dying ---------------------------------------------------------------------------------------------------------

    def die_at_write(self, number: int, successor: Path) -> None:
        """Leave what is on disk after so many more writes to `successor`, and reach nobody from then on."""
        database, left = self.store.database, number
        real = database.transaction

        @contextmanager
        def transaction() -> Iterator[None]:
            nonlocal left
            with database._lock:
                with real():
                    yield
                if database._depth == 0:
                    left -= 1
                    if left == 0:
                        self._die(successor)

        database.transaction = transaction  # type: ignore[method-assign]

    def die(self, successor: Path) -> None:
        """Leave what is on disk now to `successor`."""
        with self.store.database._lock:
            self._die(successor)

    def _die(self, successor: Path) -> None:
        self.dead = True
        for connection in self.connections:
            connection.cut()  # type: ignore[attr-defined]
        copy(self.directory, successor)

    def close(self) -> None:
        self.dispatcher.close()
        self.store.close()

    # -- transport and provider ------------------------------------------------------------------------------------------

    def _alive(self) -> None:
        if self.dead:
            raise HostStateError("this controller is dead")

    def connect(self, target: Target) -> Connection:
        self._alive()
        connection = self.world.hosts.connect(target)
        self.connections.append(connection)
        if self.dead:  # just now
            connection.close()
        return connection

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        self._alive()
        return self.world.provider.status(requests)

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        self._alive()
        return self.world.provider.create(requests, progress)

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        self._alive()
        self.world.provider.stop(names, progress)

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        self._alive()
        self.world.provider.reboot(names, progress)

    def destroy(self, names: Sequence[str], progress: Progress) -> None: ...


def copy(directory: Path, successor: Path) -> None:
    """The databases as they are committed at this moment, and every other file."""
    shutil.copytree(directory, successor, ignore=shutil.ignore_patterns("*.db", "*.db-*", "*.lock"))
    for name in DATABASES:
        if (directory / name).exists():
            source, target = sqlite3.connect(directory / name), sqlite3.connect(successor / name)
            source.backup(target)
            source.close()
            target.close()
