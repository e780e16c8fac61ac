"""What every push does, whichever command makes it: freeze a definition, keep it here or on a server, say what became of it."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from cookline.cli.remote import Server, refusal
from cookline.cli.render.text import printable
from cookline.cli.session import session

if TYPE_CHECKING:
    from cookline.control.sources.fetch import Kept
    from cookline.control.stack.revision import Revision
    from cookline.control.store.revisions import Pushed


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


def author() -> str:
    return session().asked_by or f"{getpass.getuser()}@{socket.gethostname()}"


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
