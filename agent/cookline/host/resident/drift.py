"""Looks whether this host still is what its last runs declared. Changes nothing and runs no recipe.

Works in a short process of its own: the daemon's child (`python3 .. check`) or the one that answers the controller's `drift`
operation. So the daemon never imports a resource, and a check that hangs or eats memory takes nothing down with it.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from cookline.errors import Locked
from cookline.host import paths
from cookline.host.resident import inventory as inventories
from cookline.host.resident.findings import FINDINGS, Finding, Findings, exclusively
from cookline.host.resident.settings import Settings, load
from cookline.host.resident.spool import Spool

MASK = "*****FILTERED*****"
# A value is shown up to here; the record of a finding has to fit a line of the wire with all its fields.
SHOWN_CHARACTERS = 2000
# Runs that begin and end while this looks make it look anew.
ATTEMPTS = 3


@dataclass(frozen=True)
class Places:
    """The files of one host that a look reads and writes."""

    inventory: str = paths.INVENTORY
    findings: str = FINDINGS
    spool: str = paths.SPOOL
    settings: str = paths.AGENT_SETTINGS


@dataclass(frozen=True)
class Look:
    """What one look saw: `found` is what differs now; `held` as in Findings.update; `declarations` how many were looked at."""

    found: List[Finding]
    held: Dict[str, float]
    declarations: int
    seconds: float


def check(detected_by: str, names: Optional[Sequence[str]] = None) -> List[Finding]:
    """Look at everything that was declared (or at `names`) and return what differs; what is news goes to the spool as well.

    `detected_by` is "timer", "watch" or "manual". Raises Locked while a run holds the host, as its own changes are no drift,
    and HostStateError when the inventory is broken.
    """
    return look(detected_by, names).found


def look(detected_by: str, names: Optional[Sequence[str]] = None, places: Optional[Places] = None) -> Look:
    """As `check`, with all that was seen."""
    places = places or Places()
    begun = time.monotonic()
    for _ in range(ATTEMPTS):
        refuse_during_run()
        before = _stamp(places.inventory)
        inventory = inventories.read(places.inventory)
        found = examine(inventory, names)
        refuse_during_run()
        if _stamp(places.inventory) == before:
            break
    else:
        raise Locked("runs follow each other on this host, so drift was not looked at", hint="look again when they have ended")
    declared = list(inventory["declarations"])
    looked_at = declared if names is None else [name for name in names if name in inventory["declarations"]]
    held = _remember(found, looked_at, declared, detected_by, places)
    seconds = round(time.monotonic() - begun, 4)
    return Look([found[name] for name in sorted(found)], held, len(looked_at), seconds)


def refuse_during_run() -> None:
    """Raises Locked while a run holds the host's lock."""
    holder = run_holder()
    if holder is not None:
        from cookline.host.run.lock import describe

        raise Locked(f"{describe(holder)} holds the host, so drift was not looked at", hint="look again when it has ended")


def run_holder() -> Optional[Dict[str, Any]]:
    """Who holds the lock of the host, or None.

    A free lock's file is empty: then the lock itself is not tried, as that would be in the way of a run that takes it just now.
    """
    try:
        if os.stat(paths.LOCK).st_size == 0:
            return None
    except FileNotFoundError:
        return None
    from cookline.host.run.lock import holder_of_lock

    return holder_of_lock()


def examine(inventory: Mapping[str, Any], names: Optional[Sequence[str]] = None) -> Dict[str, Finding]:
    """Name -> finding for each declaration (of `names`, or of all) that this host does not meet."""
    from cookline.host.run.masking import Masker
    from cookline.host.system import System

    host = System(apply=False)
    masker = Masker(inventory.get("secrets") or ())
    entries = inventory["declarations"]
    found: Dict[str, Finding] = {}
    for trees, chosen in _by_trees(entries, entries if names is None else [name for name in names if name in entries]):
        _open_cookbooks(trees)
        for name in chosen:
            differences = _differences(entries[name], host)
            if differences:
                finding = {"resource": name, "differences": differences, **_origin(entries[name])}
                found[name] = masker.event(finding)
                found[name]["resource"] = name
    return found


def _by_trees(entries: Mapping[str, Any], names: Sequence[str]) -> Iterator[Tuple[Dict[str, str], List[str]]]:
    """Declarations of own resources need the cookbooks that they were declared with, one revision of them at a time."""
    groups: Dict[str, List[str]] = {}
    for name in names:
        groups.setdefault(json.dumps(entries[name].get("trees") or {}, sort_keys=True), []).append(name)
    for trees, chosen in groups.items():
        yield json.loads(trees), chosen


def _open_cookbooks(directories: Mapping[str, str]) -> None:
    if directories:
        from cookline.host.run.cookbooks import PREFIX, Cookbooks

        Cookbooks({PREFIX + name: os.path.basename(directory) for name, directory in directories.items()})


def _differences(entry: Mapping[str, Any], host: Any) -> List[Dict[str, Any]]:
    """[{"field", "expected", "found"}]; a resource that cannot be looked at differs too, and says why."""
    from cookline.host.foresight import CannotKnow
    from cookline.host.resources.base import differences

    try:
        kind = getattr(importlib.import_module(entry["module"]), entry["kind"])
        resource = kind.from_declaration(entry["declaration"])
        current = json.loads(json.dumps(resource.current(host), default=str))
        changes = differences(current, entry["desired"])
    except CannotKnow as error:
        return [{"field": "state", "expected": "as declared", "found": f"cannot be known: {error}"}]
    except Exception as error:
        return [
            {"field": "state", "expected": "as declared", "found": f"cannot be read: {type(error).__name__}: {error}"[:1000]}
        ]
    hidden = set(resource.sensitive_fields) if not (resource.sensitive or entry.get("sensitive")) else set(changes)
    return [
        {"field": field, "expected": MASK, "found": MASK}
        if field in hidden
        else {"field": field, "expected": _shown(expected), "found": _shown(found)}
        for field, (found, expected) in changes.items()
    ]


def _origin(entry: Mapping[str, Any]) -> Dict[str, Any]:
    """Where it was declared. It was met then, so to mend it corrects the host and changes no intention."""
    return {**{name: entry.get(name) for name in ("kind", "recipe", "line", "run", "event")}, "label": "corrective"}


def _shown(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"


def _stamp(path: str) -> Tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def _remember(
    found: Dict[str, Finding], looked_at: Sequence[str], declared: Sequence[str], detected_by: str, places: Places
) -> Dict[str, float]:
    """Bring findings and spool up to date; the findings themselves get `since` and `detected_by`."""
    now = time.time()
    with exclusively(places.findings):
        findings = Findings(places.findings)
        records, held = findings.update(found, looked_at, declared, detected_by, now)
        found.update({name: findings.open[name] for name in found})
        if len(looked_at) == len(declared):
            findings.checked = {"at": now, "by": detected_by, "declarations": len(declared)}
        findings.save()
        if records:
            settings = _settings(places.settings)
            Spool(places.spool, settings.spool_bytes, settings.instance_id).append("finding", *records, at=now, sync=True)
    return held


def _settings(path: str) -> Settings:
    from cookline.errors import HostStateError

    try:
        return load(path)
    except HostStateError:
        return Settings()
