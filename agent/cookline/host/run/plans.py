"""Holds a run against the plan that was made for it: how honest was the plan?"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from cookline.host.run import journal
from cookline.protocol import RunRequest

# verdict of a plan -> what a run may have done with the resource then; `cannot know` and a failed plan promise nothing
KEPT_BY = {"will_not": ("unchanged",), "will_change": ("changed",), "skipped": ("skipped",)}

Event = Mapping[str, Any]


def mismatches(request: RunRequest, directory: str) -> Dict[str, Any]:
    """{"plan": id, "mismatches": n, "mismatched": [{"name", "planned", "was", "fields"}]}, or {} when nobody planned this run.

    `directory` has the run's journal. Of several resources with one name the first is held against the first of the plan, and
    so on. `fields` are those that changed otherwise than was announced. A plan counts when it is of the same event, recipes
    and revision, and no run has changed the host since.
    """
    plan = _plan_of(request)
    if plan is None:
        return {}
    found: List[Dict[str, Any]] = []
    planned = _numbered(plan, (*KEPT_BY, "cannot_know", "failed"))
    for place, was in _numbered(directory, ("unchanged", "changed", "skipped")).items():
        event = planned.get(place, {})
        verdict, kind = str(event.get("kind")), str(was["kind"])
        fields = _otherwise(event.get("changes") or (), was.get("changes") or ()) if verdict == "will_change" else []
        kept = kind in KEPT_BY.get(verdict, (kind,))
        if not kept:
            found.append({"name": place[0], "planned": verdict, "was": kind})
        elif fields:
            found.append({"name": place[0], "planned": verdict, "was": kind, "fields": fields})
    return {"plan": os.path.basename(plan), "mismatches": len(found), "mismatched": found}


def _numbered(directory: str, kinds: Sequence[str]) -> Dict[Tuple[str, int], Event]:
    """How each resource ended, by its name and how many of that name came before it; of several attempts the first."""
    found: Dict[Tuple[str, int], Event] = {}
    for attempt in _attempts(directory, kinds):
        seen: Dict[str, int] = {}
        # a resource that started a service may end after what came after it
        for event in sorted(attempt, key=lambda each: int(each["resource"])):
            name = str(event["name"])
            found.setdefault((name, seen.setdefault(name, 0)), event)
            seen[name] += 1
    return found


def _attempts(directory: str, kinds: Sequence[str]) -> List[List[Event]]:
    """The endings of resources, attempt by attempt."""
    attempts: List[List[Event]] = [[]]
    for event in journal.read(directory):
        if event["kind"] == "attempt_started":
            attempts.append([])
        elif event["kind"] in kinds and "name" in event:
            attempts[-1].append(event)
    return attempts


def _otherwise(planned: Sequence[Mapping[str, Any]], done: Sequence[Mapping[str, Any]]) -> List[str]:
    """Fields that the plan and the run tell differently."""
    before, after = ({str(each["field"]): (each["from"], each["to"]) for each in changes} for changes in (planned, done))
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


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
