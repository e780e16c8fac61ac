"""cookline history and revert: the revisions of a stack, and an old one pushed again."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from cookline.cli.options import AsJson, Stack
from cookline.cli.push import ABANDON
from cookline.cli.pushing import author, told
from cookline.cli.render.table import table
from cookline.cli.session import session
from cookline.errors import CooklineError


def history(
    stack: Stack,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the revisions of a stack, newest first: when, by whom, why.

    Example: cookline history shop
    """
    here = session()
    revisions = here.store.revisions.all(stack)[::-1][:limit]
    listed: list[dict[str, Any]] = [
        {
            "revision": each.number,
            "at": each.at,
            "author": each.author,
            "message": each.message,
            "hash": each.hash,
            "instances": len(each.content["stack"]["instances"]),
            "sources": each.content.get("sources") or {},
        }
        for each in revisions
    ]
    if as_json:
        here.json(listed)
        return
    columns = ("revision", "at", "author", "instances", "message")
    rows = [
        (
            each["revision"],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each["at"])),
            each["author"],
            each["instances"],
            each["message"].split("\n")[0],
        )
        for each in listed
    ]
    table(here, columns, rows)


def revert(
    stack: Stack,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The revision whose content shall be the newest.")],
    message: Annotated[str, typer.Option("--message", "-m", help="Why: kept with the new revision.")] = "",
    abandon: Annotated[bool, typer.Option("--abandon", help=ABANDON)] = False,
    as_json: AsJson = False,
) -> None:
    """Push the content of an old revision as a new one. Runs use it from then on; the files of the definition stay as they are.

    Example: cookline revert shop 3 -m "the new balancer settings were wrong"
    """
    from cookline.control.lifecycle.abandoned import refuse_to_abandon
    from cookline.control.stack.revision import Revision

    here = session()
    old = here.store.revisions.get(stack, number)
    before = here.store.revisions.get(stack).number
    revision = Revision.load(dict(old.content))
    contents = {entry[2] for entries in revision.manifests.values() for entry in entries}
    lost = sorted(each for each in contents if not here.store.blobs.holds(each))
    if lost:
        raise CooklineError(
            f"revision {number} of {stack} cannot be used again: {len(lost)} of its contents are no longer kept",
            hint="push it from its files, for example from version control",
        )
    if not abandon:
        refuse_to_abandon(here.store, revision)
    reason = f"back to revision {number}" + (f": {message}" if message else "")
    pushed = here.store.push(revision, author=author(), message=reason)
    told(pushed, before, revision, as_json=as_json)
    if not as_json and pushed.number != before:
        here.say(f"  {revision.file} still says something else: a push of it undoes this")
