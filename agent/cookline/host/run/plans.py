"""Holds a run against the plan that was made for it: how honest was the plan?"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional

from cookline.host.run import journal
from cookline.protocol import RunRequest

# verdict of a plan -> what a run must not have done with the resource then
BROKEN_BY = {"will_not": "changed", "will_change": "unchanged"}


def mismatches(request: RunRequest, ended: Mapping[str, str]) -> Dict[str, Any]:
    """{"plan": id, "mismatches": n, "mismatched": [{"name", "planned", "was"}]}, or {} when nobody planned this run.

    `ended` maps each resource to how it ended. A plan counts when it is of the same event, recipes and revision, and no run
    has changed the host since.
    """
    directory = _plan_of(request)
    if directory is None:
        return {}
    found: List[Dict[str, str]] = []
    for event in journal.read(directory):
        name, planned = str(event.get("name")), str(event["kind"])
        if name in ended and BROKEN_BY.get(planned) == ended[name]:
            found.append({"name": name, "planned": planned, "was": ended[name]})
    return {"plan": os.path.basename(directory), "mismatches": len(found), "mismatched": found}


def _plan_of(request: RunRequest) -> Optional[str]:
    last = journal.last_run(but=request.run)
    since = _written(last) if last else 0.0
    for directory in journal.newest_plans():
        if _written(directory) < since:
            return None
        begun: Mapping[str, Any] = next(iter(journal.read(directory)), {})
        if all(begun.get(name) == getattr(request, name) for name in ("event", "recipes", "revision")):
            return directory
    return None


def _written(directory: str) -> float:
    return os.stat(directory + "/journal.ndjson").st_mtime
