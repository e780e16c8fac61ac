"""How far each instance's spool was taken over, and the records that were refused."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cookline.control.store.database import Database


@dataclass(frozen=True)
class Warned:
    at: float
    instance_id: str
    kind: str
    text: str


class Spools:
    def __init__(self, database: Database) -> None:
        self._database = database

    def acknowledged(self, instance_id: str) -> int:
        """The highest sequence number that is safe with us; the host may drop it and what is before."""
        row = self._database.row("SELECT acknowledged FROM instances WHERE id=?", (instance_id,))
        return int(row["acknowledged"]) if row else 0

    def acknowledge(self, instance_id: str, sequence: int) -> None:
        """May go back: a host whose disk was replaced begins anew."""
        self._database.execute("UPDATE instances SET acknowledged=? WHERE id=?", (sequence, instance_id))

    def warn(self, instance_id: str, kind: str, text: str) -> None:
        self._database.insert("warnings", {"at": time.time(), "instance_id": instance_id, "kind": kind, "text": text[:500]})

    def warnings(self, limit: int = 100) -> list[Warned]:
        """Newest first."""
        rows = self._database.rows("SELECT * FROM warnings ORDER BY rowid DESC LIMIT ?", (limit,))
        return [Warned(row["at"], row["instance_id"], row["kind"], row["text"]) for row in rows]
