"""Rollouts: what operators said to one that goes on (pause, abort), and what came of each of its batches."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cookline.control.store.database import Database


@dataclass(frozen=True)
class RolloutRecord:
    """One command that goes in batches.

    paused, aborted   when somebody said so; None: nobody did, or it was resumed
    keep              an aborted rollout leaves what it has done
    ended             "completed", "stopped" or "taken back"; None while it goes on. `reason` is why it stopped
    """

    command_id: str
    paused: float | None = None
    aborted: float | None = None
    keep: bool = False
    ended: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class BatchRecord:
    """One batch. `verdict` is "go on" or "stop"; `gates` maps instances to what their gate said, None when it is good."""

    command_id: str
    number: int
    started: float | None = None
    finished: float | None = None
    verdict: str | None = None
    reason: str | None = None
    gates: Mapping[str, str | None] = field(default_factory=dict)


class Rollouts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, command_id: str, batches: int) -> None:
        """Keep a rollout before it begins, with all its batches."""
        self._database.insert("rollouts", {"command_id": command_id})
        for number in range(batches):
            self._database.insert("batches", {"command_id": command_id, "number": number})

    def get(self, command_id: str) -> RolloutRecord | None:
        """None for a command without batches."""
        row = self._database.row("SELECT * FROM rollouts WHERE command_id=?", (command_id,))
        if row is None:
            return None
        return RolloutRecord(**{**{key: row[key] for key in row.keys()}, "keep": bool(row["keep"])})  # noqa: SIM118

    def batches(self, command_id: str) -> list[BatchRecord]:
        rows = self._database.rows("SELECT * FROM batches WHERE command_id=? ORDER BY number", (command_id,))
        return [_batch(row) for row in rows]

    def pause(self, command_id: str) -> None:
        """Begin no further batch until somebody says resume."""
        sql = "UPDATE rollouts SET paused=coalesce(paused, ?) WHERE command_id=? AND ended IS NULL"
        self._database.execute(sql, (time.time(), command_id))

    def resume(self, command_id: str) -> None:
        self._database.execute("UPDATE rollouts SET paused=NULL WHERE command_id=?", (command_id,))

    def abort(self, command_id: str, *, keep: bool) -> None:
        """Begin no further batch; take back what was done unless it is to be kept."""
        sql = "UPDATE rollouts SET aborted=coalesce(aborted, ?), keep=?, paused=NULL WHERE command_id=? AND ended IS NULL"
        self._database.execute(sql, (time.time(), int(keep), command_id))

    def begin_batch(self, command_id: str, number: int) -> None:
        sql = "UPDATE batches SET started=coalesce(started, ?) WHERE command_id=? AND number=?"
        self._database.execute(sql, (time.time(), command_id, number))

    def end_batch(self, command_id: str, number: int, verdict: str, reason: str, gates: Mapping[str, str | None]) -> None:
        """The first verdict stands."""
        sql = "UPDATE batches SET finished=?, verdict=?, reason=?, gates=? WHERE command_id=? AND number=? AND finished IS NULL"
        self._database.execute(sql, (time.time(), verdict, reason, json.dumps(dict(gates)), command_id, number))

    def end(self, command_id: str, ended: str, reason: str) -> None:
        sql = "UPDATE rollouts SET ended=?, reason=? WHERE command_id=? AND ended IS NULL"
        self._database.execute(sql, (ended, reason or None, command_id))


def _batch(row: sqlite3.Row) -> BatchRecord:
    return BatchRecord(
        row["command_id"],
        row["number"],
        row["started"],
        row["finished"],
        row["verdict"],
        row["reason"],
        json.loads(row["gates"]),
    )
