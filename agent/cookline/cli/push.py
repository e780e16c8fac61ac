"""cookline push: a stack definition with its cookbooks and apps becomes an immutable revision."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.session import session


def push(
    definition: Annotated[Path, typer.Argument(help="The stack's YAML file.")],
    message: Annotated[str, typer.Option("--message", "-m", help="Why: kept with the revision.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look for mistakes; keep nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a definition and keep it, with the hashes of all its cookbooks, as the stack's next revision.

    Runs name a revision, never the working tree: what is edited later takes part with the next push.

    Example: cookline push stacks/shop.yml -m "two more app servers"
    """
    from cookline.control.stack.revision import freeze

    here = session()
    revision = freeze(here.cwd / definition)
    stack = revision.stack
    if check:
        here.say(f"{definition}: no mistakes; {len(stack.instances)} instances in {len(stack.layers)} layers")
        return
    known = stack.name in here.store.revisions.stacks()
    before = here.store.revisions.get(stack.name).number if known else 0
    pushed = here.store.push(revision, author=f"{getpass.getuser()}@{socket.gethostname()}", message=message)
    if as_json:
        here.json({"stack": pushed.stack, "revision": pushed.number, "hash": pushed.hash, "new": pushed.number != before})
    elif pushed.number == before:
        here.say(f"{pushed.stack} is unchanged: revision {pushed.number}")
    else:
        here.say(f"{pushed.stack}: revision {pushed.number}, {len(stack.instances)} instances, {len(revision.trees)} trees")
        here.say(f"  next: cookline plan {pushed.stack} setup, or cookline setup {pushed.stack}")
