"""Actions that a run owes: journalled with `started`, before the change that owes them, and paid once.

The newest journal says all: it carries over what earlier runs left unpaid. So a run looks at one journal only.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Iterable, List

from cookline.errors import CookbookError
from cookline.host.resources.base import Action
from cookline.host.run import journal


class KindGone(CookbookError):
    """No cookbook of this run defines the action's kind any more."""


Debt = Dict[str, Any]  # {"action": "Restart[nginx]", "module", "kind", "fields", "because": "Template[..]", "run"}


def debt(action: Action, because: str, run: str) -> Debt:
    fields = {name: getattr(action, name) for name in action.__dataclass_fields__}
    kind = type(action)
    return {
        "action": action.name,
        "module": kind.__module__,
        "kind": kind.__name__,
        "fields": fields,
        "because": because,
        "run": run,
    }


def action_of(owed: Debt) -> Action:
    """The action again. Raises KindGone when the cookbook that defined it is gone."""
    try:
        kind = getattr(importlib.import_module(owed["module"]), owed["kind"])
    except (ImportError, AttributeError) as error:
        raise KindGone(f"{owed['action']} is owed by run {owed['run']}, but its kind cannot be loaded: {error}") from None
    action = kind(**owed["fields"])
    assert isinstance(action, Action)
    return action


def unpaid(events: Iterable[Dict[str, Any]]) -> List[Debt]:
    """What a journal leaves owed, in the order in which it was promised, each action once."""
    owed: Dict[str, Debt] = {}
    for event in events:
        kind = event.get("kind")
        if kind in ("run_started", "started", "owed"):
            for item in event.get("owed") or event.get("carried") or []:
                owed.setdefault(item["action"], item)
        elif kind == "action_finished" and event.get("outcome") in ("changed", "skipped"):
            owed.pop(str(event.get("action")), None)
    return list(owed.values())


def of_host(*, but: str = "") -> List[Debt]:
    """What this host owes now, from its newest journal other than run `but`."""
    directory = journal.last_run(but=but)
    if directory is None:
        return []
    end = journal.last_event(directory)
    if end is not None and end.get("kind") == "run_finished" and end.get("owed") == []:
        return []
    return unpaid(journal.read(directory))
