"""cookline undo: put back what a run has changed on its host."""

from __future__ import annotations

from typing import Annotated

import typer

from cookline.cli import completion
from cookline.cli.dispatch import carry_out
from cookline.cli.options import AsJson, Comment, LockWait
from cookline.cli.render.text import printable
from cookline.cli.session import session
from cookline.control.store.runs import RunRecord
from cookline.errors import UsageError


def undo(
    run: Annotated[str, typer.Argument(help="Id of a run, or its first characters.", autocompletion=completion.runs)],
    show: Annotated[bool, typer.Option("--show", help="Only show what could be put back and what could not.")] = False,
    comment: Comment = "",
    wait: LockWait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Put back what a run has changed on its host, the last change first.

    Contents, modes, owners, links, packages, units and users come back as they were. What cannot be undone (commands that
    ran, data that a purge removed) is listed before anything is done.

    Example: cookline undo 01JD4Z --show
    """
    here = session()
    found = here.store.runs.find(run)
    if not isinstance(found, RunRecord):
        runs = ", ".join(each.id for each in here.store.runs.of_command(found.id))
        raise UsageError(f"{found.id} is a command of several runs; undo them one by one", hint=runs)
    changed = [event for event in here.store.reports.events(found.id) if event.get("kind") == "changed"]
    if not as_json:
        for event in changed:
            verb = "puts back" if event.get("undo") else "cannot undo"
            here.say(f"{found.instance:<10} {verb} {printable(event.get('name'))}")
    if show:
        return
    stack = here.store.revisions.name_of(here.store.runs.command(found.command_id).stack_id)
    carry_out("undo", stack, as_json, on=found.instance, undo=found.id, comment=comment, wait=wait)
