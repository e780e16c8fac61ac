"""cookline push: a stack definition with its cookbooks and apps becomes an immutable revision."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson
from cookline.cli.remote import Server, refusal
from cookline.cli.render.text import printable
from cookline.cli.session import session
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.sources.fetch import Kept
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


def push_to(server: Server, revision: Revision, message: str, *, abandon: bool = False, as_json: bool) -> None:
    """Send the contents that the server lacks, then the revision."""
    here = session()
    sent = 0
    for blob in revision.blobs:
        answer = server.request("GET", f"/v1/blobs/{blob.sha256}")
        answer.read()
        if answer.status == 404:
            answer = server.request("PUT", f"/v1/blobs/{blob.sha256}", blob.read(), "application/octet-stream")
            sent += 1
        if answer.status != 204:
            raise refusal(answer.status, answer.read())
    body = {"content": revision.to_dict(), "message": message, "abandon": abandon}
    pushed = server.ask("POST", f"/v1/stacks/{revision.stack.name}/revisions", body)
    if as_json:
        here.json(pushed)
    else:
        here.say(f"{pushed['stack']}: revision {pushed['revision']} on {server.address}, {sent} contents sent")


def frozen(file: Path, *, quiet: bool = False) -> Revision:
    """The definition with everything that it names, fetched and hashed. Raises StackError, CookbookError and SourceError."""
    from cookline.control.sources.fetch import Fetcher
    from cookline.control.stack.revision import freeze

    here = session()
    progress = None if quiet else lambda text: here.say(printable(text))
    return freeze(file, fetch=Fetcher(here.directory, kept=_kept, progress=progress))


def _kept(stack: str, app: str) -> Kept | None:
    """What the newest revision has of an app, as long as its artifact is still there."""
    from cookline.control.sources.fetch import Kept
    from cookline.control.stack.artifact import Artifact

    here = session()
    if not newest_number(stack):
        return None
    content = here.store.revisions.get(stack).content
    source = content["stack"]["apps"].get(app, {}).get("source")
    stood = (content.get("sources") or {}).get(app)
    manifest = content["manifests"].get(content["trees"].get(f"app:{app}"))
    if not source or not stood or not manifest or not here.store.blobs.holds(manifest[0][2]):
        return None
    sha256 = str(manifest[0][2])
    return Kept(source, stood, lambda: Artifact(here.store.blobs.get(sha256), sha256))


def author() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def newest_number(stack: str) -> int:
    """0 for a stack that was never pushed."""
    revisions = session().store.revisions
    return revisions.get(stack).number if stack in revisions.stacks() else 0


def told(pushed: Pushed, before: int, revision: Revision, *, as_json: bool) -> None:
    """Say what became of a push; `before` is the number that was the newest."""
    here = session()
    if as_json:
        here.json({"stack": pushed.stack, "revision": pushed.number, "hash": pushed.hash, "new": pushed.number != before})
    elif pushed.number == before:
        here.say(f"{pushed.stack} is unchanged: revision {pushed.number}")
    else:
        instances = len(revision.stack.instances)
        here.say(f"{pushed.stack}: revision {pushed.number}, {instances} instances, {len(revision.trees)} trees")
