"""Doing what is owed: each action between the two events that tell of it."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from cookline.host.run import origin, owed
from cookline.host.run.cookbooks import PACKAGE, Cookbooks
from cookline.host.run.journal import Journal
from cookline.host.system import System


def missing_cookbook(debt: owed.Debt, cookbooks: Cookbooks) -> str:
    """The cookbook that an earlier run had and that defines the action, where this run does without; else empty."""
    package, _, module = str(debt["module"]).partition(".")
    cookbook = module.split(".")[0]
    return cookbook if package == PACKAGE and cookbook not in cookbooks.directories else ""


def pay(debt: owed.Debt, journal: Journal, system: System, run: str) -> Optional[Exception]:
    """Do it, and journal its beginning and its end; what went wrong, and then it stays owed."""
    started = time.monotonic()
    name = debt["action"]
    journal.write({"kind": "action_started", "action": name, "because": debt["because"], "run_owing": debt["run"]})
    event: Dict[str, Any] = {"kind": "action_finished", "action": name, "outcome": "changed"}
    trouble = None
    try:
        reason = _perform(debt, system, run)
        if reason:
            event.update(outcome="skipped", reason=reason)
    except Exception as error:
        trouble = error
        event.update(outcome="failed", error=origin.describe(error))
    event["seconds"] = round(time.monotonic() - started, 5)
    journal.write(event)
    return trouble


def _perform(debt: owed.Debt, system: System, run: str) -> str:
    """Do what is owed; of an earlier run's debt whose unit or kind is gone since, why it is not done."""
    earlier = debt["run"] != run
    try:
        action = owed.action_of(debt)
    except owed.KindGone as error:
        if not earlier:
            raise
        return error.message
    reason = action.gone(system) if earlier else ""
    if not reason:
        action.perform(system)
    return reason
