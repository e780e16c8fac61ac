"""The one SQLite file of a cookline directory: how it is opened, migrated and written.

Write-ahead log, so that any number of processes read while one writes. Every write is one short `BEGIN IMMEDIATE`
transaction; a second writer waits for it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cookline.control.store.schema import MIGRATIONS
from cookline.errors import CooklineError, DiskFull

# Writes take less than 1 ms; a writer that waits this long has met a stopped process or a broken disk.
BUSY_SECONDS = 15.0


class Database:
    """One connection, shared by the threads of this process; `path` is made with mode 0600 and brought to the newest schema."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        # made before SQLite opens it, so that the file (and -wal, -shm after it) is never readable to others
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare()
        except (sqlite3.DatabaseError, CooklineError):
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode=wal")
        # a killed process loses nothing; a power cut may take the last milliseconds, which the hosts' journals still hold
        self._connection.execute("PRAGMA synchronous=normal")
        self._connection.execute("PRAGMA foreign_keys=on")
        if self._version() < len(MIGRATIONS):
            self._migrate()
        if self._version() > len(MIGRATIONS):
            raise CooklineError(
                f"{self.path} was written by a newer cookline (schema {self._version()}, this one knows {len(MIGRATIONS)})",
                hint="upgrade cookline on this machine",
            )

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        with self.transaction():
            for number, script in enumerate(MIGRATIONS[self._version() :], start=self._version() + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={number:d}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become visible together, or none. May be nested; the outermost one commits."""
        with self._lock:
            if self._depth == 0:
                with self._room():
                    self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    with self._room():
                        self._connection.execute("COMMIT")
                except BaseException:
                    self._roll_back()
                    raise

    def _roll_back(self) -> None:
        # SQLite has done it by itself where the disk was full
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Name a full disk, which is not ours to mend."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise disk_full(self.path.parent) from None

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Write; the number of rows touched."""
        with self.transaction(), self._room():
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, row: dict[str, Any]) -> int:
        """Insert `row` (columns to values; lists and mappings become JSON); the rowid."""
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        with self.transaction(), self._room():
            cursor = self._connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", [_cell(v) for v in row.values()]
            )
            return int(cursor.lastrowid or 0)

    def update(self, table: str, key: str, value: Any, row: dict[str, Any]) -> int:
        """Set the columns of `row` where `key` is `value`; the number of rows touched."""
        assignments = ", ".join(f"{name}=?" for name in row)
        return self.execute(f"UPDATE {table} SET {assignments} WHERE {key}=?", [*(_cell(v) for v in row.values()), value])

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self.rows(sql, values)
        return found[0] if found else None

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def disk_full(directory: Path) -> DiskFull:
    return DiskFull(
        f"the disk of {directory} is full: what cannot be written down is not begun",
        hint="make room there; `cookline resume` ends what had begun",
    )


def _cell(value: Any) -> Any:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list | tuple) else value
