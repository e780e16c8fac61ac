"""The store of one cookline directory: every table behind one object."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from cookline.control.store.access import Audit, Tokens
from cookline.control.store.blobs import Blobs
from cookline.control.store.database import Database
from cookline.control.store.findings import Findings
from cookline.control.store.identifiers import new_identifier
from cookline.control.store.instances import Instances
from cookline.control.store.reports import Reports
from cookline.control.store.retention import Retention
from cookline.control.store.revisions import Pushed, Revisions
from cookline.control.store.rollouts import Rollouts
from cookline.control.store.runs import Runs
from cookline.control.store.snapshots import Snapshots
from cookline.control.store.spool import Spools
from cookline.control.store.timers import Timers


class Blob(Protocol):
    @property
    def sha256(self) -> str: ...

    def read(self) -> bytes: ...


class Frozen(Protocol):
    """What is asked of a frozen revision (control/stack/revision.py)."""

    @property
    def stack(self) -> Any: ...

    @property
    def hash(self) -> str: ...

    @property
    def blobs(self) -> Iterable[Blob]: ...

    def to_dict(self) -> dict[str, Any]: ...


class Store:
    """`.cookline` (mode 0700, made when it is missing) and what lies in it.

    id         of this store: two laptops are two stores
    database   revisions instances runs rollouts snapshots findings spools tokens audit timers: its tables
    blobs      contents by hash; reports: the events of each run; retention: how long they are kept
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self.directory, 0o700)
        self.database = Database(self.directory / "store.db")
        self.id = self._identity()
        self.blobs = Blobs(self.directory / "blobs")
        self.reports = Reports(self.directory / "runs")
        self.revisions = Revisions(self.database)
        self.instances = Instances(self.database)
        self.runs = Runs(self.database)
        self.rollouts = Rollouts(self.database)
        self.snapshots = Snapshots(self.database, self.id)
        self.findings = Findings(self.database)
        self.spools = Spools(self.database)
        self.tokens = Tokens(self.database)
        self.audit = Audit(self.database)
        self.timers = Timers(self.database)
        self.retention = Retention(self.database, self.reports, self.timers, self.blobs)

    def push(self, revision: Frozen, *, author: str, message: str = "") -> Pushed:
        """Keep a frozen revision with all its contents, and bring the table of instances in line with it."""
        for blob in revision.blobs:
            if not self.blobs.holds(blob.sha256):
                self.blobs.put(blob.read())
        stack = revision.stack
        declared = {name: (tuple(instance.layers), instance.provider) for name, instance in stack.instances.items()}
        described = {name: each.address for name, each in stack.instances.items() if each.provider == "static" and each.address}
        with self.database.transaction():
            pushed = self.revisions.push(stack.name, revision.to_dict(), revision.hash, author=author, message=message)
            self.instances.declare(pushed.stack_id, declared)
            self.instances.relocate(pushed.stack_id, described)
        return pushed

    def _identity(self) -> str:
        # read first: a process that only looks must not wait for the one that writes
        row = self.database.row("SELECT value FROM meta WHERE key='store'")
        if row is None:
            self.database.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('store', ?)", (new_identifier(),))
            row = self.database.row("SELECT value FROM meta WHERE key='store'")
        assert row is not None
        return str(row["value"])

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
