"""OpsWorks' 20 state words and every legal way from one to another. Whatever is not in the table is refused with the reason.

The usual ways: stopped > requested > pending > booting > running_setup > online, and
online > shutting_down > stopping > stopped.
A host that cookline does not start (static) goes the same ways; only nobody is asked to start or stop it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cookline.errors import RunError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.store.store import Store

TRANSITIONS: dict[str, tuple[str, ...]] = {
    # not there, or not ours yet
    "stopped": ("requested", "registering", "assigning", "terminating", "deregistering"),
    "registering": ("registered", "start_failed"),
    "registered": ("assigning", "requested", "deregistering"),
    "assigning": ("running_setup", "requested", "setup_failed", "connection_lost"),
    # on the way up
    "requested": ("pending", "start_failed", "stopping", "terminating"),
    "pending": ("booting", "start_failed", "stopping", "terminating"),
    "booting": ("running_setup", "start_failed", "connection_lost", "stopping", "terminating"),
    "running_setup": ("online", "setup_failed", "connection_lost", "shutting_down"),
    "online": ("running_setup", "rebooting", "shutting_down", "connection_lost", "unassigning", "deregistering", "terminating"),
    "rebooting": ("online", "setup_failed", "running_setup", "connection_lost", "start_failed", "shutting_down"),
    # something went wrong; each of these can be tried again, or given up
    "start_failed": ("requested", "stopping", "stopped", "terminating", "deregistering"),
    "setup_failed": (
        "running_setup",
        "requested",
        "rebooting",
        "shutting_down",
        "connection_lost",
        "terminating",
        "deregistering",
    ),
    "connection_lost": (
        "requested",
        "running_setup",
        "online",
        "rebooting",
        "shutting_down",
        "stopped",
        "terminating",
        "deregistering",
    ),
    "stop_failed": ("stopping", "shutting_down", "requested", "stopped", "terminating"),
    # on the way down
    "shutting_down": ("stopping", "stopped", "stop_failed", "terminating"),
    "stopping": ("stopped", "stop_failed", "shutting_down", "requested"),
    "unassigning": ("registered", "connection_lost"),
    "deregistering": ("terminated", "connection_lost"),
    "terminating": ("terminated", "stop_failed"),
    "terminated": (),
}

STATES = tuple(TRANSITIONS)

# States that end by themselves: a command is at work on the instance (or was, when its controller was killed).
MOVING = frozenset(
    {"registering", "assigning", "requested", "pending", "booting", "running_setup", "rebooting"}
    | {"shutting_down", "stopping", "unassigning", "deregistering", "terminating"}
)


def refusal(name: str, current: str, wanted: str) -> str | None:
    """Why `name` cannot go from `current` to `wanted`; None when it can. Staying where one is is always legal."""
    if wanted not in TRANSITIONS:
        return f"{wanted!r} is not a state of an instance{did_you_mean(wanted, STATES)}"
    if wanted == current or wanted in TRANSITIONS[current]:
        return None
    ways = TRANSITIONS[current]
    leads = f"from {current} it can become {', '.join(ways)}" if ways else f"{current} is final"
    return f"{name} is {current} and cannot become {wanted}: {leads}"


def move(store: Store, instance_id: str, wanted: str, **values: Any) -> str:
    """Bring an instance into a state, in one transaction with `values` (other columns); the state that it was in.

    Raises RunError for a way that the table does not have.
    """
    with store.database.transaction():
        instance = store.instances.get(instance_id)
        reason = refusal(instance.name, instance.state, wanted)
        if reason:
            raise RunError(reason, hint="`cookline status STACK` shows the states")
        if wanted != instance.state:
            values = {"state": wanted, "why": None, **values}
            if wanted == "online":
                values["online_since"] = time.time()
            elif wanted != "rebooting":  # a reboot fires nothing: to everybody else the instance stays online
                values["online_since"] = None
        if values:
            store.instances.record(instance_id, **values)
    return instance.state
