"""The options of a rollout, and the words to one that goes on: cookline pause and abort (resume is in unfinished.py)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cookline.cli.options import RunId
from cookline.cli.session import session

Batch = Annotated[
    str | None,
    typer.Option("--batch", help="Go in batches: 2, or 25% of the instances; 1,25%,100% for one batch after the other."),
]
GateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        help="After each batch: http://{address}:8080/health, ssh:COMMAND on its hosts, command:COMMAND here, alarm:NAME.",
    ),
]
GateAfter = Annotated[
    float | None, typer.Option("--gate-after", help="Seconds that a batch serves before its gates are asked.")
]
GateWithin = Annotated[float | None, typer.Option("--gate-within", help="Seconds in which a gate must be passed; 30 without.")]
MaxUnavailable = Annotated[
    str | None,
    typer.Option(
        "--max-unavailable", help="Stop when more instances than this (2, 10%) have failed, in all batches; 0 without."
    ),
]
AutoRollback = Annotated[
    bool, typer.Option("--auto-rollback", help="When it stops, take back what was touched, and nothing else.")
]
Drain = Annotated[bool, typer.Option("--drain", help="Take instances off the balancers while their batch is at work.")]

OPTIONS = ("batch", "gate", "gate_within", "gate_after", "max_unavailable", "auto_rollback", "drain")


def rollout_of(values: dict[str, Any]) -> dict[str, Any] | None:
    """Take the options of a rollout out of `values`: Command.rollout, None when there are none of them."""
    given = {name: values.pop(name) for name in OPTIONS if name in values}
    given = {name: value for name, value in given.items() if value not in (None, False, [])}
    if not given:
        return None
    if "batch" in given:
        given["batch"] = [size.strip() for size in given["batch"].split(",")]
    if "gate" in given:
        given["gates"] = given.pop("gate")
    return given


def pause(run: RunId) -> None:
    """Let a rollout finish the batch that it is at, and begin no other until `cookline resume`.

    Example: cookline pause 01JD4Z
    """
    here = session()
    command = here.dispatcher.pause(run)
    here.say(f"{command} pauses after the batch that it is at; `cookline resume {command}` lets it go on")


def abort(
    run: RunId,
    keep: Annotated[bool, typer.Option("--keep", help="Leave what it has done as it is.")] = False,
) -> None:
    """End a rollout after the batch that it is at. What it has touched goes back to what was there before, unless --keep.

    Example: cookline abort 01JD4Z
    """
    here = session()
    command = here.dispatcher.abort(run, keep=keep)
    here.say(f"{command} ends after the batch that it is at" + ("" if keep else "; what it has touched is taken back"))
