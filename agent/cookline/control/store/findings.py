"""Drift: where a host differs from what the last runs declared; one row per instance and resource until it is cleared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cookline.control.store.database import Database


@dataclass(frozen=True)
class Finding:
    """differences  as the host sent them: field to [expected, found]
    detected_by  timer, watch or manual
    since        when it was first reported, `seen` when last; both by the controller's clock
    """

    instance_id: str
    instance: str
    resource: str
    differences: Any
    detected_by: str
    since: float
    seen: float
    cleared: float | None
    data: Mapping[str, Any]


class Findings:
    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, instance_id: str, finding: Mapping[str, Any], *, detected_by: str | None = None) -> None:
        """Keep what a host found; a finding with `cleared` (or no differences) ends the one before."""
        resource, now = str(finding.get("resource", "?"))[:1000], time.time()
        differences = finding.get("differences", finding.get("changes"))
        if finding.get("cleared") or not differences:
            self._clear(instance_id, [resource], now)
            return
        by = str(detected_by or finding.get("detected_by") or "manual")[:20]
        self._database.execute(
            _REPORT, (instance_id, resource, json.dumps(differences), by, now, now, json.dumps(dict(finding)))
        )

    def replace(self, instance_id: str, findings: Iterable[Mapping[str, Any]], *, detected_by: str = "manual") -> None:
        """The result of a whole check: what it does not name is no longer there."""
        with self._database.transaction():
            named = set()
            for finding in findings:
                self.report(instance_id, finding, detected_by=detected_by)
                named.add(str(finding.get("resource", "?"))[:1000])
            open_rows = self._database.rows(
                "SELECT resource FROM findings WHERE instance_id=? AND cleared IS NULL", (instance_id,)
            )
            self._clear(instance_id, [row["resource"] for row in open_rows if row["resource"] not in named], time.time())

    def of(self, stack_id: str, *, cleared: bool = False) -> list[Finding]:
        """Open findings of a stack by instance and resource; with `cleared` also those that are over."""
        return [
            Finding(
                instance_id=row["instance_id"],
                instance=row["instance"],
                resource=row["resource"],
                differences=json.loads(row["differences"]),
                detected_by=row["detected_by"],
                since=row["since"],
                seen=row["seen"],
                cleared=row["cleared"],
                data=json.loads(row["data"]),
            )
            for row in self._database.rows(_OF_STACK, (stack_id,))
            if cleared or row["cleared"] is None
        ]

    def _clear(self, instance_id: str, resources: Iterable[str], now: float) -> None:
        for resource in resources:
            sql = "UPDATE findings SET cleared=? WHERE instance_id=? AND resource=? AND cleared IS NULL"
            self._database.execute(sql, (now, instance_id, resource))


# since and detected_by stay those of the first report, until the finding was cleared and comes back
_REPORT = """
INSERT INTO findings (instance_id, resource, differences, detected_by, since, seen, data) VALUES (?,?,?,?,?,?,?)
ON CONFLICT (instance_id, resource) DO UPDATE SET
  differences=excluded.differences, seen=excluded.seen, data=excluded.data,
  since=CASE WHEN cleared IS NULL THEN since ELSE excluded.since END,
  detected_by=CASE WHEN cleared IS NULL THEN detected_by ELSE excluded.detected_by END,
  cleared=NULL"""

_OF_STACK = """
SELECT findings.*, instances.name AS instance FROM findings JOIN instances ON instances.id = findings.instance_id
WHERE instances.stack_id=? AND instances.removed IS NULL ORDER BY instances.name, resource"""
