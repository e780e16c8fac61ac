"""Resources whose endings wait until what they have started has come to rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence

if TYPE_CHECKING:
    from cookline.host.resources.base import Resource
    from cookline.host.run.node import Outcome
    from cookline.host.run.origin import Place

Event = Dict[str, Any]
Finish = Callable[["Outcome", Event, float], None]
Fail = Callable[["Resource", Event, Exception, "Optional[Place]", float], "Outcome"]


class Pending(NamedTuple):
    """A resource that has been changed, in so many seconds, and the checks of what it has started."""

    resource: Resource
    outcome: Outcome
    header: Event
    place: Optional[Place]
    seconds: float
    checks: Sequence[Callable[[], None]]


def settle(waiting: List[Pending], finish: Finish, fail: Fail) -> None:
    """Give each its ending, also when one before it has failed. Raises what `fail` raises for the first that has."""
    trouble: Optional[Exception] = None
    while waiting:
        each = waiting.pop(0)
        try:
            for check in each.checks:
                check()
        except Exception as error:
            try:
                fail(each.resource, each.header, error, each.place, time.monotonic() - each.seconds)
            except Exception as stopped:
                trouble = trouble or stopped
        else:
            finish(each.outcome, each.header, time.monotonic() - each.seconds)
    if trouble is not None:
        raise trouble
