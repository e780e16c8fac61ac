"""The metric store: one SQLite file, one writer, one commit per put.

A metric is a namespace, a name and an exact set of dimensions. A point is a statistic set: what one put said about one metric
in one second (high resolution) or minute. Points are only ever added; reading adds them up, and `maintain` (rollup.py) merges
and thins them as they age, as CloudWatch does. The values behind a point are kept with it for 3 hours, for percentiles.

A put that returned survives a crash of the process; a power cut may take the last moments (synchronous = NORMAL).
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cookline.cloudwatch import rollup
from cookline.cloudwatch.datum import Datum, dimensions_key, namespace, parse_data, parse_datum
from cookline.cloudwatch.faults import Fault
from cookline.cloudwatch.statistics import Aggregate, Weighted

_SCHEMA = """
CREATE TABLE IF NOT EXISTS metric (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,           -- JSON: sorted [name, value] pairs
    UNIQUE (namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS point (
    metric_id INTEGER NOT NULL REFERENCES metric (id),
    ts INTEGER NOT NULL,                -- epoch seconds, start of the span
    seq INTEGER NOT NULL,               -- rises with every point of this file
    span INTEGER NOT NULL,              -- seconds that the point stands for: 1, 60, 300, 3600
    unit TEXT NOT NULL,
    n REAL NOT NULL, sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL,
    raw TEXT,                           -- JSON: [[value, count], ..]; NULL when min = max says it, or when unknown
    PRIMARY KEY (metric_id, ts, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS thinned (span INTEGER PRIMARY KEY, until INTEGER NOT NULL);
PRAGMA user_version = 1;
"""

_FROM = "FROM point WHERE metric_id = :metric AND ts >= :start AND ts < :end AND span <= :period {only}"
_SUMS = "(ts - :start) / :period, {unit}, sum(n), sum(sum), min(min), max(max), NULL"
_READ = f"SELECT {_SUMS} {_FROM} GROUP BY 1, 2 ORDER BY 1, 2"
_READ_VALUES = f"SELECT (ts - :start) / :period, {{unit}}, n, sum, min, max, raw {_FROM} ORDER BY 1, 2"

# Ids of metrics remembered in memory: 100 bytes each.
_REMEMBERED = 100_000


class MetricStore:
    """Metrics in the SQLite file at `path` (":memory:" for a passing one). Safe to share between threads."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.RLock()
        self._writer = self._connect(path)
        self._writer.executescript(_SCHEMA)
        # Readers wait neither for a put nor for maintenance; a store in memory has but one connection.
        shared = str(path) == ":memory:"
        self._reader, self._reading = (self._writer, self._lock) if shared else (self._connect(path), threading.RLock())
        self._ids: dict[tuple[str, str, str], int] = {}
        # rises over restarts too: no store takes a million points a second
        self._seq = time.time_ns() // 1000

    @staticmethod
    def _connect(path: str | Path) -> sqlite3.Connection:
        connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def close(self) -> None:
        with self._reading, self._lock:
            self._reader.close()
            self._writer.close()

    def put(self, namespace_: str, data: Sequence[Mapping[str, Any]], now: float | None = None) -> int:
        """Store PutMetricData's datums (dicts as in its JSON, `Timestamp` in epoch seconds); all of them or none.

        Returns how many there were. Raises faults.Fault naming the first that is wrong.
        """
        now = time.time() if now is None else now
        name = namespace(namespace_)
        datums = parse_data(data, now)
        self.add(name, datums, now)
        return len(datums)

    def put_each(self, namespace_: str, data: Sequence[Mapping[str, Any]], now: float | None = None) -> list[Fault]:
        """Store the datums that are good, however many; returns the faults of the others.

        For whoever must go on whatever a host sent: one odd datum would keep `put` from taking all that came with it.
        """
        now = time.time() if now is None else now
        name = namespace(namespace_)
        datums, refused = [], []
        for index, each in enumerate(data, 1):
            try:
                datums.append(parse_datum(each, f"MetricData.member.{index}", now))
            except Fault as fault:
                refused.append(fault)
        self.add(name, datums, now)
        return refused

    def add(self, namespace_: str, datums: Iterable[Datum], now: float) -> None:
        """Store checked datums."""
        merged: dict[tuple[str, str, int, int, str], list[Datum]] = defaultdict(list)
        for each in datums:
            merged[each.name, each.dimensions, each.timestamp, each.resolution, each.unit].append(each)
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                rows = [self._row(namespace_, group, now) for group in merged.values()]
                self._writer.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            except BaseException:
                self._writer.execute("ROLLBACK")
                # ids given out in this transaction are gone
                self._ids.clear()
                raise
            self._writer.execute("COMMIT")

    def _row(self, namespace_: str, group: Sequence[Datum], now: float) -> tuple[Any, ...]:
        first = group[0]
        self._seq += 1
        metric = self._metric(namespace_, first.name, first.dimensions)
        timestamp, span, keeps_values = rollup.arriving(first.timestamp, first.resolution, now)
        key = (metric, timestamp, self._seq, span, first.unit)
        if len(group) == 1:
            totals = (first.samples, first.total, first.minimum, first.maximum)
        else:
            totals = (
                sum(each.samples for each in group),
                sum(each.total for each in group),
                min(each.minimum for each in group),
                max(each.maximum for each in group),
            )
        known = keeps_values and totals[2] != totals[3] and all(each.values for each in group)
        raw = json.dumps([pair for each in group for pair in each.values], separators=(",", ":")) if known else None
        return (*key, *totals, raw)

    def _metric(self, namespace_: str, name: str, dimensions: str) -> int:
        key = (namespace_, name, dimensions)
        found = self._ids.get(key)
        if found is None:
            self._writer.execute("INSERT OR IGNORE INTO metric (namespace, name, dimensions) VALUES (?, ?, ?)", key)
            query = "SELECT id FROM metric WHERE namespace = ? AND name = ? AND dimensions = ?"
            found = int(self._writer.execute(query, key).fetchone()[0])
            if len(self._ids) >= _REMEMBERED:
                self._ids.clear()
            self._ids[key] = found
        return found

    def statistics(
        self,
        namespace_: str,
        name: str,
        dimensions: Sequence[Mapping[str, str]] = (),
        *,
        start: int,
        end: int,
        period: int,
        unit: str | None = None,
        merge_units: bool = False,
        values: bool = False,
    ) -> list[Aggregate]:
        """The periods of one metric from `start` (inclusive) to `end` (exclusive), epoch seconds, oldest first, no empty ones.

        Periods begin at `start`. The dimensions must be exactly those of the metric. Samples of different units are told apart
        unless `merge_units`. `values` fetches the values for percentiles.
        """
        query = (_READ_VALUES if values else _READ).format(
            unit="NULL" if merge_units else "unit", only="" if unit is None else "AND unit = :unit"
        )
        key = (namespace_, name, dimensions_key(dimensions))
        with self._reading:
            find = "SELECT id FROM metric WHERE namespace = ? AND name = ? AND dimensions = ?"
            metric = self._reader.execute(find, key).fetchone()
            if metric is None:
                return []
            bound = {"metric": metric[0], "start": start, "end": end, "period": period, "unit": unit}
            rows = self._reader.execute(query, bound).fetchall()
        groups = itertools.groupby(rows, key=lambda row: (row[0], row[1])) if values else (((r[0], r[1]), [r]) for r in rows)
        return [_aggregate(start + bucket * period, found, list(group), values) for (bucket, found), group in groups]

    def list_metrics(
        self,
        *,
        namespace_: str | None = None,
        name: str | None = None,
        dimensions: Sequence[Mapping[str, str]] = (),
        since: float | None = None,
        after: int = 0,
        limit: int = 500,
    ) -> list[tuple[int, str, str, list[dict[str, str]]]]:
        """Metrics that have at least the named dimensions ("Value" may be left out), as (id, namespace, name, dimensions).

        `since` leaves out metrics without a point from then on; `after` and `limit` page by id.
        """
        wanted, bound = ["id > ?"], [after]
        for column, value in (("namespace", namespace_), ("name", name)):
            if value is not None:
                wanted.append(f"{column} = ?")
                bound.append(value)  # type: ignore[arg-type]
        for each in dimensions:
            pair = "json_extract(value, '$[0]') = ?" + (" AND json_extract(value, '$[1]') = ?" if "Value" in each else "")
            wanted.append(f"EXISTS (SELECT 1 FROM json_each(dimensions) WHERE {pair})")
            bound += [each["Name"], each["Value"]] if "Value" in each else [each["Name"]]  # type: ignore[list-item]
        if since is not None:
            wanted.append("EXISTS (SELECT 1 FROM point WHERE metric_id = id AND ts >= ?)")
            bound.append(int(since))
        query = f"SELECT id, namespace, name, dimensions FROM metric WHERE {' AND '.join(wanted)} ORDER BY id LIMIT ?"
        with self._reading:
            rows = self._reader.execute(query, [*bound, limit]).fetchall()
        return [(row[0], row[1], row[2], [{"Name": n, "Value": v} for n, v in json.loads(row[3])]) for row in rows]

    def maintain(self, now: float | None = None) -> None:
        """Merge and thin what has aged; call it every few minutes, from a thread. Puts get in between its steps."""
        steps = rollup.maintain(self._writer, time.time() if now is None else now)
        going = True
        while going:
            with self._lock:
                going = next(steps, False)
                # metrics may have been forgotten
                self._ids.clear()


def _aggregate(timestamp: int, unit: str | None, rows: Sequence[tuple[Any, ...]], values: bool) -> Aggregate:
    """One period out of its rows of (bucket, unit, n, sum, min, max, raw)."""
    return Aggregate(
        timestamp,
        unit,
        sum(row[2] for row in rows),
        sum(row[3] for row in rows),
        min(row[4] for row in rows),
        max(row[5] for row in rows),
        _weighted(rows) if values else None,
    )


def _weighted(rows: Iterable[tuple[Any, ...]]) -> Weighted | None:
    """The values of a period in rising order, or None when those of a part of it are unknown."""
    known: list[tuple[float, float]] = []
    for _, _, count, _, low, high, raw in rows:
        if raw is not None:
            known += [(value, weight) for value, weight in json.loads(raw)]
        elif low == high:
            known.append((low, count))
        else:
            return None
    return sorted(known)
