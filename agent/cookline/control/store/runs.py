"""Commands (one dispatch: a lifecycle command or a deployment) and their runs, one per instance and event."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from cookline.control.store.database import Database
from cookline.control.store.identifiers import new_identifier
from cookline.errors import SelectorError
from cookline.protocol import OUTCOMES

# The waves of a command: the event asked for, the configure that follows, what takes a rollout back, the configure by which
# balancers let go of those that leave, and the one that lets them back in.
ASKED, FOLLOWING, TAKING_BACK, DRAINING, RETURNING = range(5)


@dataclass(frozen=True)
class CommandRecord:
    """One command as it was given; `options` is the whole of it as plain data, secrets as references only."""

    id: str
    stack_id: str
    kind: str
    revision: int
    options: Mapping[str, Any]
    user: str
    created: float
    finished: float | None = None
    cancelled: float | None = None
    outcome: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """One run on one instance. `phase` says which wave of the command it belongs to: one of those above.

    batch     of a rollout, from 0; None for commands without batches and for what is skipped from the start
    back_to   {"command": id, "apps": names}: the earlier command whose revision and attributes this run goes back to
    totals    counts by resource outcome, as the host reported them
    finished  None while the run waits or goes on; then outcome (protocol.OUTCOMES) and reason are set
    """

    id: str
    command_id: str
    instance_id: str
    instance: str
    phase: int
    event: str
    created: float
    apply: bool = True
    snapshot: int | None = None
    started: float | None = None
    finished: float | None = None
    outcome: str | None = None
    reason: str | None = None
    error: str | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    attempt: int | None = None
    batch: int | None = None
    back_to: Mapping[str, Any] | None = None

    @property
    def changed(self) -> int:
        return int(self.totals.get("changed", 0))


def new_run(command_id: str, instance_id: str, instance: str, phase: int, event: str, *, apply: bool = True) -> RunRecord:
    """A run that waits."""
    return RunRecord(new_identifier(), command_id, instance_id, instance, phase, event, time.time(), apply=apply)


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add_command(self, record: CommandRecord) -> None:
        values = {each.name: getattr(record, each.name) for each in fields(CommandRecord)}
        self._database.insert("commands", values)

    def add(self, records: Iterable[RunRecord]) -> None:
        """Keep runs that do not exist yet; those that do (a replayed step) are left alone."""
        with self._database.transaction():
            for record in records:
                if self._database.row("SELECT 1 FROM runs WHERE id=?", (record.id,)) is None:
                    self._database.insert("runs", {each.name: getattr(record, each.name) for each in fields(RunRecord)})

    def command(self, command_id: str) -> CommandRecord:
        row = self._database.row("SELECT * FROM commands WHERE id=?", (command_id,))
        if row is None:
            raise SelectorError(f"no command has the id {command_id!r}", hint="`cookline runs STACK` lists them")
        return _command(row)

    def run(self, run_id: str) -> RunRecord:
        row = self._database.row("SELECT * FROM runs WHERE id=?", (run_id,))
        if row is None:
            raise SelectorError(f"no run has the id {run_id!r}", hint="`cookline runs STACK` lists them")
        return _run(row)

    def find(self, prefix: str) -> RunRecord | CommandRecord:
        """The run or command whose id starts with `prefix` (any case). Raises SelectorError when none or several do."""
        pattern = prefix.upper().replace("%", "").replace("_", "") + "%"
        runs = self._database.rows("SELECT * FROM runs WHERE id LIKE ? ORDER BY id LIMIT 9", (pattern,))
        commands = self._database.rows("SELECT * FROM commands WHERE id LIKE ? ORDER BY id LIMIT 9", (pattern,))
        found: list[RunRecord | CommandRecord] = [*map(_run, runs), *map(_command, commands)]
        if len(found) != 1:
            words = "no run or command has" if not found else "several runs or commands have"
            raise SelectorError(f"{words} an id that starts with {prefix!r}", hint="`cookline runs STACK` lists them")
        return found[0]

    def of_command(self, command_id: str, phase: int | None = None) -> list[RunRecord]:
        """In the order in which they were planned."""
        rows = self._database.rows("SELECT * FROM runs WHERE command_id=? ORDER BY phase, id", (command_id,))
        return [_run(row) for row in rows if phase is None or row["phase"] == phase]

    def of_instance(self, instance_id: str, limit: int = 30) -> list[RunRecord]:
        """Newest first."""
        rows = self._database.rows("SELECT * FROM runs WHERE instance_id=? ORDER BY id DESC LIMIT ?", (instance_id, limit))
        return [_run(row) for row in rows]

    def newest(self, instance_id: str, event: str) -> RunRecord | None:
        """The last run of this event on the instance that was carried out."""
        sql = """SELECT * FROM runs WHERE instance_id=? AND event=? AND apply AND outcome NOT IN ('skipped', 'superseded')
                 ORDER BY id DESC LIMIT 1"""
        row = self._database.row(sql, (instance_id, event))
        return None if row is None else _run(row)

    def commands(self, stack_id: str, limit: int = 30) -> list[CommandRecord]:
        """Newest first."""
        rows = self._database.rows("SELECT * FROM commands WHERE stack_id=? ORDER BY id DESC LIMIT ?", (stack_id, limit))
        return [_command(row) for row in rows]

    def unfinished(self) -> list[CommandRecord]:
        """Commands that somebody began and nobody ended, oldest first."""
        return [_command(row) for row in self._database.rows("SELECT * FROM commands WHERE finished IS NULL ORDER BY id")]

    def waiting(self, instance_id: str) -> list[RunRecord]:
        """Unfinished runs of the instance, oldest first."""
        rows = self._database.rows("SELECT * FROM runs WHERE instance_id=? AND finished IS NULL ORDER BY id", (instance_id,))
        return [_run(row) for row in rows]

    def begin(self, run_id: str, snapshot: int) -> bool:
        """The run goes to its host now, with that snapshot; False when it has ended already.

        One that goes there again after a crash may find that another has been there meanwhile: the host takes no older one.
        """
        sql = "UPDATE runs SET started=coalesce(started, ?), snapshot=? WHERE id=? AND finished IS NULL"
        return self._database.execute(sql, (time.time(), snapshot, run_id)) == 1

    def supersede(self, run_id: str, reason: str) -> bool:
        """End a run that has not begun; False when it has."""
        sql = "UPDATE runs SET finished=?, outcome='superseded', reason=? WHERE id=? AND started IS NULL AND finished IS NULL"
        return self._database.execute(sql, (time.time(), reason, run_id)) == 1

    def finish(
        self,
        run_id: str,
        outcome: str,
        reason: str | None = None,
        *,
        error: str | None = None,
        totals: Mapping[str, int] | None = None,
        seconds: float | None = None,
        attempt: int | None = None,
    ) -> bool:
        """End the run; False when it had ended before: the first ending stands."""
        if outcome not in OUTCOMES:
            raise ValueError(f"{outcome!r} is not one of {OUTCOMES}")
        sql = """UPDATE runs SET finished=?, outcome=?, reason=?, error=?, totals=?, seconds=?, attempt=?
                 WHERE id=? AND finished IS NULL"""
        values: Sequence[Any] = (time.time(), outcome, reason, error, json.dumps(dict(totals or {})), seconds, attempt, run_id)
        return self._database.execute(sql, values) == 1

    def finish_command(self, command_id: str, outcome: str, exit_code: int) -> None:
        sql = "UPDATE commands SET finished=?, outcome=?, exit_code=? WHERE id=? AND finished IS NULL"
        self._database.execute(sql, (time.time(), outcome, exit_code, command_id))

    def note(self, command_id: str, **options: Any) -> None:
        """Add to the command's options what a successor has to know."""
        with self._database.transaction():
            kept = json.dumps({**self.command(command_id).options, **options})
            self._database.execute("UPDATE commands SET options=? WHERE id=?", (kept, command_id))

    def cancel_command(self, command_id: str) -> None:
        """Ask that nothing more of the command begins; what runs goes on to its end."""
        self._database.execute("UPDATE commands SET cancelled=? WHERE id=? AND finished IS NULL", (time.time(), command_id))

    def claim(self, instance_id: str, run_id: str) -> bool:
        """Make `run_id` the one run that may go on the instance; False while another one holds it.

        A run that has ended needs no claim and leaves none: True.
        """
        with self._database.transaction():
            row = self._database.row("SELECT run_id FROM claims WHERE instance_id=?", (instance_id,))
            if row is not None:
                return bool(row["run_id"] == run_id)
            if self._database.row("SELECT 1 FROM runs WHERE id=? AND finished IS NULL", (run_id,)):
                self._database.insert("claims", {"instance_id": instance_id, "run_id": run_id, "since": time.time()})
            return True

    def release(self, instance_id: str, run_id: str) -> None:
        self._database.execute("DELETE FROM claims WHERE instance_id=? AND run_id=?", (instance_id, run_id))

    def forget_claims(self) -> None:
        """For whoever has just taken the engine's lock: claims of a dead process hold nobody."""
        self._database.execute("DELETE FROM claims")


def _command(row: sqlite3.Row) -> CommandRecord:
    values = {each.name: row[each.name] for each in fields(CommandRecord)}
    return CommandRecord(**{**values, "options": json.loads(row["options"])})


def _run(row: sqlite3.Row) -> RunRecord:
    values = {each.name: row[each.name] for each in fields(RunRecord)}
    values |= {"totals": json.loads(row["totals"]), "apply": bool(row["apply"])}
    return RunRecord(**{**values, "back_to": json.loads(row["back_to"]) if row["back_to"] else None})
