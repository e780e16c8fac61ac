"""What the shell offers after Tab (`cookline --install-completion`): names out of this project's store, which is only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cookline.cli.session import session
from cookline.errors import CooklineError

if TYPE_CHECKING:
    from cookline.control.store.store import Store

# Enough to find the run that went wrong just now; `cookline runs` lists more.
COMMANDS_OFFERED = 10


def stacks(incomplete: str) -> list[str]:
    """Names of pushed stacks."""
    store = _store()
    return [name for name in store.revisions.stacks() if name.startswith(incomplete)] if store else []


def instances(context: typer.Context, incomplete: str) -> list[str]:
    """Names of instances: those of the stack that is named before, else of all."""
    store = _store()
    if store is None:
        return []
    stack = context.params.get("stack")
    given = {str(name) for name in context.params.get("instances") or ()}
    known = store.revisions.stacks()
    found = store.instances.of(store.revisions.stack_id(stack)) if stack in known else store.instances.all()
    return [each.name for each in found if each.name.startswith(incomplete) and each.name not in given]


def runs(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest commands and their runs, each with what it was."""
    store = _store()
    if store is None:
        return []
    found: list[tuple[str, str]] = []
    for stack in store.revisions.stacks():
        for command in store.runs.commands(store.revisions.stack_id(stack), limit=COMMANDS_OFFERED):
            found.append((command.id, f"{command.kind} {stack}"))
            found += [(run.id, f"{run.event} of {run.instance}") for run in store.runs.of_command(command.id)]
    return [(name, what) for name, what in found if name.startswith(incomplete.upper())]


def _store() -> Store | None:
    """The store, unless there is none yet: looking must not make one."""
    here = session()
    if not (here.directory / "store.db").exists():
        return None
    try:
        return here.store
    except (CooklineError, OSError):
        return None  # the command itself will say what is wrong
