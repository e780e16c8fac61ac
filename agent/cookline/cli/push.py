"""cookline push: a stack definition with its cookbooks and apps becomes an immutable revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson
from cookline.cli.pushing import author, frozen, newest_number, push_to, told
from cookline.cli.remote import Server
from cookline.cli.session import session
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision
    from cookline.control.store.revisions import Pushed

ABANDON = "Let instances go that are up and no longer in the definition."


def push(
    definition: Annotated[Path, typer.Argument(help="The stack's YAML file; with --watch a folder of them.")],
    message: Annotated[str, typer.Option("--message", "-m", help="Why: kept with the revision.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look for mistakes; keep nothing.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help=ABANDON)] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: push whatever changes, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a definition and keep it, with the hashes of all its cookbooks, as the stack's next revision.

    Runs name a revision, never the working tree: what is edited later takes part with the next push.

    Example: cookline push stacks/shop.yml -m "two more app servers"
    """
    here = session()
    if watch:
        from cookline.cli.watched import watch_definitions

        if check:
            raise UsageError("--check and --watch exclude each other")
        watch_definitions(here.cwd / definition, message, as_json=as_json)
        return
    revision = frozen(here.cwd / definition, quiet=as_json)
    stack = revision.stack
    if check:
        here.say(f"{definition}: no mistakes; {len(stack.instances)} instances in {len(stack.layers)} layers")
        return
    server = Server.of_environment()
    if server is not None:
        push_to(server, revision, message, abandon=abandon, as_json=as_json)
        return
    before = newest_number(stack.name)
    if not abandon:
        from cookline.control.lifecycle.abandoned import refuse_to_abandon

        refuse_to_abandon(here.store, revision)
    known = _known(stack.name, before)
    pushed = here.store.push(revision, author=author(), message=message)
    told(pushed, before, revision, as_json=as_json)
    if not as_json and pushed.number != before:
        here.say(f"  next: {_next(pushed, known, revision)}")


def _known(stack: str, number: int) -> dict[str, Any] | None:
    """What those who are online know of each other before a push; None for a stack that is new."""
    from cookline.control.lifecycle.amended import known_of
    from cookline.control.stack.revision import Revision

    store = session().store
    if not number:
        return None
    kept = store.revisions.get(stack, number)
    return known_of(store, Revision.recall(dict(kept.content)).stack, kept.stack_id)


def _next(pushed: Pushed, known: dict[str, Any] | None, revision: Revision) -> str:
    from cookline.control.lifecycle.amended import amendment, known_of

    why = known and amendment(known, known_of(session().store, revision.stack, pushed.stack_id))
    if why:
        return f"{why}: cookline configure {pushed.stack} tells the others; a running server does it by itself"
    return f"cookline plan {pushed.stack} setup, or cookline setup {pushed.stack}"
