"""cookline status: every instance of a stack, or every stack."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from cookline.cli import completion, standing
from cookline.cli.render.table import table
from cookline.cli.render.text import age
from cookline.cli.session import session
from cookline.control.stack.revision import Revision


def status(
    stack: Annotated[
        str | None, typer.Argument(help="Name of a pushed stack; every stack without it.", autocompletion=completion.stacks)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show each instance: address, layers, state and why, last event and how it ended, when its host was last heard of.

    Example: cookline status shop
    """
    here = session()
    names = [stack] if stack else here.store.revisions.stacks()
    stacks = [_stack(name) for name in names]
    if as_json:
        here.json(stacks[0] if stack else stacks)
        return
    if not stacks:
        here.say("no stack was pushed here yet; `cookline push stacks/NAME.yml` pushes one")
    for each in stacks:
        _print(each)


def _stack(name: str) -> dict[str, Any]:
    store = session().store
    revision = store.revisions.get(name)
    now = time.time()
    definition = Revision.recall(dict(revision.content)).stack
    return {
        "stack": name,
        "revision": revision.number,
        "instances": [_instance(each, definition, now) for each in store.instances.of(revision.stack_id)],
        "scaling": standing.scaling(store, revision.stack_id, definition, now),
        "unfinished": [record.id for record in store.runs.unfinished() if record.stack_id == revision.stack_id],
    }


def _instance(instance: Any, stack: Any, now: float) -> dict[str, Any]:
    heard = instance.heartbeat_age(now)
    return {
        "name": instance.name,
        "id": instance.id,
        "address": instance.address,
        "layers": instance.layers,
        "state": instance.state,
        "why": standing.why(session().store, instance, stack.instances[instance.name], now),
        "last_event": instance.last_event,
        "outcome": instance.last_outcome,
        "reason": instance.last_reason,
        "changed": instance.last_changed,
        "heartbeat_age": None if heard is None else round(heard, 1),
        # without a server nobody listens to heartbeats: then this is the time since the last contact
        "heartbeat_by": instance.heartbeat_of,
        "owed": [debt["action"] for debt in instance.owed],
    }


def _print(stack: dict[str, Any]) -> None:
    here = session()
    here.say(f"{stack['stack']}, revision {stack['revision']}")
    columns = ("instance", "address", "layers", "state", "last event", "outcome", "changed", "heard of", "owed", "why")
    rows = [
        (
            each["name"],
            each["address"],
            ", ".join(each["layers"]),
            each["state"],
            each["last_event"],
            each["outcome"],
            each["changed"],
            f"{age(each['heartbeat_age'])} ago ({each['heartbeat_by']})" if each["heartbeat_age"] is not None else "never",
            ", ".join(each["owed"]),
            each["why"],
        )
        for each in stack["instances"]
    ]
    table(here, columns, rows)
    for line in stack["scaling"]:
        here.say(line)
    from cookline.control.lifecycle.lock import holder

    at_work = holder(here.directory)
    for command in stack["unfinished"]:
        if at_work:
            given = here.store.runs.command(command)
            here.say(
                f"going on: {given.kind} {command} by {given.user} (process {at_work.get('pid')}, {at_work.get('command')})"
            )
        else:
            here.say(f"unfinished: {command}; `cookline resume {command}` finishes it")
