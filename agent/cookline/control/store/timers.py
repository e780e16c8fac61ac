"""What the server's tick remembers between two looks, and over restarts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cookline.control.store.database import Database


@dataclass(frozen=True)
class Timer:
    """due   seconds of the epoch, before which nothing is done
    data  what the kind of timer needs to know
    """

    due: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, now: float, longest: float) -> bool:
        """Whether it is not due yet. A clock that was set back makes nobody wait for more than `longest` seconds."""
        return 0 < self.due - now <= longest


class Timers:
    """`subject` is an instance's id, or a layer's (stack id, dash, name); `kind` says whose timer it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, subject: str, kind: str) -> Timer:
        """The timer as it was set last; one that is due and empty when it never was."""
        row = self._database.row("SELECT due, data FROM timers WHERE subject=? AND kind=?", (subject, kind))
        return Timer() if row is None else Timer(row["due"], json.loads(row["data"]))

    def set(self, subject: str, kind: str, due: float, **data: Any) -> None:
        sql = "INSERT OR REPLACE INTO timers (subject, kind, due, data) VALUES (?,?,?,?)"
        self._database.execute(sql, (subject, kind, due, json.dumps(data)))

    def clear(self, subject: str, kind: str) -> None:
        self._database.execute("DELETE FROM timers WHERE subject=? AND kind=?", (subject, kind))
