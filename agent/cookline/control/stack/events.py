"""The lifecycle events: which of a layer's recipe lists each one runs. What they do to states is lifecycle/plan.py's.

Sources: DESIGN section 5, features O13 to O15, O20 to O22, O43 and O48.
"""

from __future__ import annotations

from dataclasses import dataclass

# The five that a layer assigns recipes to (features O13).
LIFECYCLE_EVENTS = ("setup", "configure", "deploy", "undeploy", "shutdown")

# features O30: OpsWorks' twenty words for what an instance is doing; selectors know them.
STATES = (
    "assigning",
    "booting",
    "connection_lost",
    "deregistering",
    "online",
    "pending",
    "rebooting",
    "registered",
    "registering",
    "requested",
    "running_setup",
    "setup_failed",
    "shutting_down",
    "start_failed",
    "stop_failed",
    "stopped",
    "stopping",
    "terminated",
    "terminating",
    "unassigning",
)


@dataclass(frozen=True)
class EventRule:
    """One row: the event, and the recipe lists of the instance's layers that it runs, in this order.

    every_app   the event deploys all apps of the instance, not only those that the command names (features O54)
    limited     it ends after the layer's shutdown_timeout, whatever the recipes do (features O22)
    """

    name: str
    recipe_events: tuple[str, ...]
    every_app: bool = False
    limited: bool = False


_RULES = (
    EventRule("setup", ("setup", "deploy"), every_app=True),  # O15: setup includes deploy
    EventRule("configure", ("configure",)),
    EventRule("deploy", ("deploy",)),
    EventRule("undeploy", ("undeploy",)),
    EventRule("shutdown", ("shutdown",), limited=True),
    EventRule("execute_recipes", ()),  # O43: the command names the recipes; no layer needs to
)

EVENTS = {rule.name: rule for rule in _RULES}
