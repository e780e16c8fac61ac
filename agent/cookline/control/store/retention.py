"""What is kept of what was done, so that a store does not grow for ever.

Of each instance: its newest runs with their reports (`keep_runs` of the stack; 30, as OpsWorks kept logs, features O94), and
beyond them, without reports, as many successful and as many other runs of each event: going back to what was there before
looks for those. A command stays whole as long as one of its runs does. What is unfinished, an instance's last run and what
another run goes back to stay in any case; so do revisions, definitions and cookbooks. The applications' archives, by far the
largest, stay as long as one of a stack's newest revisions names them, or one that a kept command used.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time

from cookline.control.store.blobs import Blobs
from cookline.control.store.database import Database
from cookline.control.store.reports import Reports
from cookline.control.store.timers import Timers
from cookline.errors import DiskFull

KEEP_RUNS = 30
INTERVAL_SECONDS = 3600.0
# Writers wait for a transaction: some milliseconds each. What is over is for the next time.
COMMANDS_AT_ONCE, COMMANDS_A_TIME = 50, 1000
REPORTS_A_TIME = 5000
# Of each stack, so many of its newest revisions keep their archives: some weeks of pushes.
KEEP_ARCHIVES = 50
# A push that finds an archive there names it a moment later.
ARCHIVE_SECONDS = 3600.0
# A snapshot is taken a moment before its run names it.
SNAPSHOT_SECONDS = 3600.0
KEEP_WARNINGS = 1000
# A year and a month: an audit of a year is complete when it is asked for.
KEEP_AUDIT_SECONDS = 396 * 86400.0


class Retention:
    def __init__(self, database: Database, reports: Reports, timers: Timers, blobs: Blobs) -> None:
        self._database, self._reports, self._timers, self._blobs = database, reports, timers, blobs

    def tidy_if_due(self) -> bool:
        """Tidy once an hour; whether it was done now. What cannot be removed (a full disk) is kept until the next time."""
        now = time.time()
        if self._timers.get("", "tidy").holds(now, INTERVAL_SECONDS):
            return False
        with contextlib.suppress(OSError, sqlite3.Error, DiskFull):
            self._timers.set("", "tidy", now + INTERVAL_SECONDS)
            self.tidy()
        return True

    def tidy(self) -> tuple[int, int]:
        """Remove what is not kept; how many commands and how many reports went."""
        files = self._reports.kept()  # listed before the rows are looked at: a run has its row before its report
        commands = self._doomed()
        for start in range(0, len(commands), COMMANDS_AT_ONCE):
            self._remove(commands[start : start + COMMANDS_AT_ONCE])
        keep = {row["id"] for row in self._database.rows(f"{_RANKED} SELECT id FROM kept WHERE of_instance <= keep")}
        doomed = [run for run in files if run not in keep][:REPORTS_A_TIME]
        for run in doomed:
            self._reports.remove(run)
        for row in self._database.rows(_ARCHIVES, (KEEP_ARCHIVES,)):
            self._blobs.remove(row["archive"], unused_for=ARCHIVE_SECONDS)
        self._rest()
        return len(commands), len(doomed)

    def _doomed(self) -> list[str]:
        return [row["id"] for row in self._database.rows(_DOOMED, (KEEP_RUNS, COMMANDS_A_TIME))]

    def _remove(self, commands: list[str]) -> None:
        marks = ",".join("?" * len(commands))
        with self._database.transaction():
            for table, column in (
                ("batches", "command_id"),
                ("rollouts", "command_id"),
                ("runs", "command_id"),
                ("commands", "id"),
            ):
                self._database.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", commands)

    def _rest(self) -> None:
        now = time.time()
        self._database.execute(_SNAPSHOTS, (now - SNAPSHOT_SECONDS,))
        self._database.execute("DELETE FROM warnings WHERE rowid <= (SELECT max(rowid) FROM warnings) - ?", (KEEP_WARNINGS,))
        self._database.execute("DELETE FROM audit WHERE at < ?", (now - KEEP_AUDIT_SECONDS,))


# Every run that may be kept, with its rank among those of its instance and among those of its event there; 0 for those that
# stay in any case. Plans are counted apart, and what was skipped or superseded not at all: it has nothing to show.
_RANKED = f"""
WITH newest AS (SELECT stack_id, max(number) AS number FROM revisions GROUP BY stack_id),
settings AS (
  SELECT revisions.stack_id, coalesce(json_extract(content, '$.stack.keep_runs'), {KEEP_RUNS}) AS keep
  FROM revisions JOIN newest USING (stack_id, number)),
last AS (SELECT last_run FROM instances WHERE last_run IS NOT NULL),
ranked AS (
  SELECT runs.id, runs.command_id, commands.stack_id, runs.back_to, runs.outcome,
    row_number() OVER (PARTITION BY runs.instance_id, runs.apply ORDER BY runs.id DESC) AS of_instance,
    row_number() OVER (
      PARTITION BY runs.instance_id, runs.apply, runs.event, runs.outcome='successful' ORDER BY runs.id DESC) AS of_event
  FROM runs JOIN commands ON commands.id = runs.command_id
  WHERE runs.outcome IS NULL OR runs.outcome NOT IN ('skipped', 'superseded')),
kept AS (
  SELECT id, command_id, back_to, coalesce(keep, {KEEP_RUNS}) AS keep, of_event,
    CASE WHEN outcome IS NULL OR id IN last THEN 0 ELSE of_instance END AS of_instance
  FROM ranked LEFT JOIN settings USING (stack_id))
"""

_DOOMED = f"""{_RANKED},
used AS (SELECT command_id, back_to FROM kept WHERE of_instance <= keep OR of_event <= keep),
listed AS (SELECT id, row_number() OVER (PARTITION BY stack_id ORDER BY id DESC) AS place FROM commands)
SELECT id FROM commands
WHERE finished IS NOT NULL
  AND id NOT IN (SELECT command_id FROM used)
  AND id NOT IN (SELECT json_extract(back_to, '$.command') FROM used WHERE back_to IS NOT NULL)
  AND id NOT IN (SELECT id FROM listed WHERE place <= ?)
ORDER BY id LIMIT ?"""

# The contents of applications in revisions that nobody goes back to, unless another revision has them as well.
_ARCHIVES = """
WITH kept AS (
  SELECT stack_id, number FROM (
    SELECT stack_id, number, row_number() OVER (PARTITION BY stack_id ORDER BY number DESC) AS place FROM revisions)
  WHERE place <= ?
  UNION SELECT stack_id, revision FROM commands),
archives AS (
  SELECT revisions.stack_id, number, json_extract(entry.value, '$[2]') AS archive
  FROM revisions, json_each(content, '$.trees') AS tree, json_each(content, '$.manifests."' || tree.value || '"') AS entry
  WHERE tree.key LIKE 'app:%')
SELECT DISTINCT archive FROM archives WHERE (stack_id, number) NOT IN kept
EXCEPT SELECT archive FROM archives WHERE (stack_id, number) IN kept"""

_SNAPSHOTS = """
DELETE FROM snapshots
WHERE at < ? AND number NOT IN (SELECT snapshot FROM runs WHERE snapshot IS NOT NULL)
  AND number NOT IN (SELECT max(number) FROM snapshots GROUP BY stack_id)"""
