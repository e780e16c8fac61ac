"""The lifecycle commands: each makes one Command, has it dispatched, and shows how every instance's part ended."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cookline.cli import completion
from cookline.cli.dispatch import carry_out
from cookline.cli.options import (
    AppName,
    AsJson,
    Attribute,
    Comment,
    Instances,
    LockWait,
    On,
    RevisionNumber,
    Stack,
    TakeOver,
    Timeout,
    attributes_of,
)
from cookline.cli.rollout import AutoRollback, Batch, Drain, GateAfter, GateOption, GateWithin, MaxUnavailable
from cookline.protocol import EVENTS


def plan(
    stack: Stack,
    events: Annotated[list[str] | None, typer.Argument(help="Lifecycle events; setup, deploy and configure without.")] = None,
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Ask the hosts what an event would change, and change nothing. Exit code 3 when something would change.

    Example: cookline plan shop setup --on web1
    """
    from cookline.errors import UsageError, did_you_mean

    for event in events or []:
        if event not in EVENTS:
            raise UsageError(
                f"{event!r} is not a lifecycle event{did_you_mean(event, EVENTS)}", hint=f"events: {', '.join(EVENTS)}"
            )
    chosen = tuple(events or ("setup", "configure"))
    carry_out("plan", stack, as_json, on=on, revision=revision, attribute=attribute, events=chosen, take_over=take_over)


def setup(
    stack: Stack,
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    auto_rollback: AutoRollback = False,
    as_json: AsJson = False,
) -> None:
    """Boot what is not running, run the setup and deploy recipes, then configure on every instance that is online.

    Example: cookline setup shop
    """
    _plain("setup", locals())


def configure(
    stack: Stack,
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    auto_rollback: AutoRollback = False,
    as_json: AsJson = False,
) -> None:
    """Run the configure recipes on the instances that are online.

    Example: cookline configure shop --on layer:balancer
    """
    _plain("configure", locals())


def deploy(
    stack: Stack,
    app: AppName = None,
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    auto_rollback: AutoRollback = False,
    as_json: AsJson = False,
) -> None:
    """Deploy apps on the online instances of their layers.

    Example: cookline deploy shop --app shop
    """
    _plain("deploy", locals())


def undeploy(
    stack: Stack,
    app: AppName = None,
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    as_json: AsJson = False,
) -> None:
    """Remove apps with all their releases.

    Example: cookline undeploy shop --app shop
    """
    _plain("undeploy", locals())


def rollback(
    stack: Stack,
    app: AppName = None,
    on: On = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    as_json: AsJson = False,
) -> None:
    """Serve the release before the current one; up to four back. Further back fails and changes nothing.

    Example: cookline rollback shop --app shop
    """
    _plain("rollback", locals())


def run(
    stack: Stack,
    recipes: Annotated[list[str], typer.Argument(help="Recipes, as cookbook::recipe; a bare cookbook means its default.")],
    on: On = None,
    revision: RevisionNumber = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    drain: Drain = False,
    as_json: AsJson = False,
) -> None:
    """Run recipes on the instances that are online (OpsWorks' Execute Recipes).

    Example: cookline run shop base::default --on layer:app
    """
    _plain("run", {**locals(), "recipes": tuple(recipes)})


def start(
    stack: Stack,
    instances: Annotated[
        list[str] | None,
        typer.Argument(help="Names of instances; all that are stopped without.", autocompletion=completion.instances),
    ] = None,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Boot stopped instances, set them up, and configure everybody.

    Example: cookline start shop app2
    """
    _named("start", locals())


def stop(
    stack: Stack,
    instances: Instances,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """Run the shutdown recipes, stop the hosts, and configure those that stay online.

    Example: cookline stop shop app2
    """
    _named("stop", locals())


def shutdown(
    stack: Stack,
    instances: Instances,
    attribute: Attribute = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    take_over: TakeOver = False,
    as_json: AsJson = False,
) -> None:
    """The same as stop, under the name of its event.

    Example: cookline shutdown shop app2
    """
    _named("shutdown", locals())


def reboot(
    stack: Stack,
    instances: Instances,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Reboot hosts. A reboot fires no lifecycle event.

    Example: cookline reboot shop db1
    """
    _named("reboot", locals())


def _plain(kind: str, given: dict[str, Any]) -> None:
    options = {name: value for name, value in given.items() if name not in ("stack", "as_json")}
    carry_out(kind, given["stack"], given["as_json"], **options)


def _named(kind: str, given: dict[str, Any]) -> None:
    names = given.pop("instances")
    _plain(kind, {**given, "on": ",".join(names) if names else None})


__all__ = [
    "attributes_of",
    "configure",
    "deploy",
    "plan",
    "reboot",
    "rollback",
    "run",
    "setup",
    "shutdown",
    "start",
    "stop",
    "undeploy",
]
