"""How points age: CloudWatch's retention, as merging in place.

Points under a minute and the values behind percentiles are kept for 3 hours, points of a minute for 15 days, of 5 minutes for
63 days, of an hour for 455 days. Each age has its mark (table `thinned`): what lies before it was merged already.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

HOUR, DAY = 3600, 86400
RAW_AGE = 3 * HOUR
# (age after which points are merged, seconds of the points that they become)
STEPS = ((RAW_AGE, 60), (15 * DAY, 300), (63 * DAY, HOUR))
RETENTION = 455 * DAY
# Metrics merged in one transaction: puts wait for it (about 10 ms).
_CHUNK = 500


def arriving(timestamp: int, resolution: int, now: float) -> tuple[int, int, bool]:
    """Timestamp and span to store a new point under, and whether its values are kept: late samples have aged already.

    >>> arriving(7261, 1, now=7300.0), arriving(7261, 1, now=86400.0)
    ((7261, 1, True), (7260, 60, False))
    """
    if timestamp >= now - RAW_AGE:
        return timestamp, resolution, True
    return timestamp // 60 * 60, 60, False


def maintain(connection: sqlite3.Connection, now: float) -> Iterator[bool]:
    """Merge what has passed each age, drop what nobody may ask for any more, forget metrics without points.

    Yields True after each transaction, so that others may write in between.
    """
    highest = connection.execute("SELECT coalesce(max(id), 0) FROM metric").fetchone()[0]
    marks = dict(connection.execute("SELECT span, until FROM thinned"))
    for age, span in STEPS:
        until = int(now - age) // span * span
        since = marks.get(span, 0)
        if until <= since:
            continue
        for first in range(0, highest + 1, _CHUNK):
            _merge(connection, first, since, until, span)
            yield True
        connection.execute("INSERT OR REPLACE INTO thinned VALUES (?, ?)", (span, until))
    for first in range(0, highest + 1, _CHUNK):
        bound = (first, first + _CHUNK, int(now - RETENTION))
        connection.execute(f"DELETE FROM point WHERE {_IN_CHUNK} AND ts < ?", bound)
        yield True
    connection.execute("DELETE FROM metric WHERE NOT EXISTS (SELECT 1 FROM point WHERE metric_id = id)")


_IN_CHUNK = "metric_id IN (SELECT id FROM metric WHERE id >= ? AND id < ?)"


def _merge(connection: sqlite3.Connection, first: int, since: int, until: int, span: int) -> None:
    """Merge the points of one chunk of metrics; doing it twice changes nothing."""
    bound = (first, first + _CHUNK, since, until)
    merged = connection.execute(
        f"""SELECT metric_id, ts / {span} * {span}, max(seq), {span}, unit, sum(n), sum(sum), min(min), max(max), NULL
        FROM point WHERE {_IN_CHUNK} AND ts >= ? AND ts < ? GROUP BY 1, 2, unit""",
        bound,
    ).fetchall()
    if not merged:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"DELETE FROM point WHERE {_IN_CHUNK} AND ts >= ? AND ts < ?", bound)
        connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", merged)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
