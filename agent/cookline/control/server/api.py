"""The HTTP API of a server: state to read, commands to give, events to follow. OpenAPI at /v1/openapi.json.

Every request carries `Authorization: Bearer TOKEN`. Errors are {"error": sentence, "hint": next step}.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from cookline.control.lifecycle.abandoned import refuse_to_abandon
from cookline.control.lifecycle.command import Command
from cookline.control.server.gatekeeper import Caller, Forbidden, Gatekeeper
from cookline.control.stack.revision import Revision
from cookline.errors import CooklineError, SelectorError, UsageError
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.control.lifecycle.dispatch import Dispatcher

# Runs one command line for a caller and yields its messages, as the Unix socket sends them.
RunLine = Callable[[Caller, dict[str, Any]], Iterator[dict[str, Any]]]

# A cookbook's file or an app's artifact in one request.
MAX_BLOB_BYTES = 512 * 1024 * 1024
KEEPALIVE_SECONDS = 15.0

routes = APIRouter(prefix="/v1")


def create_api(dispatcher: Dispatcher, run_line: RunLine) -> FastAPI:
    """The application; `run_line` is what the thin client's command lines go to."""
    api = FastAPI(title="cookline", version="1", openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)
    api.state.dispatcher, api.state.run_line = dispatcher, run_line
    api.state.keeper = Gatekeeper(dispatcher.store)
    api.include_router(routes)
    api.add_exception_handler(CooklineError, _refuse)
    return api


class Server:
    """What a request works with: the dispatcher and its store, the gatekeeper, and who asks."""

    def __init__(self, request: Request) -> None:
        state = request.app.state
        self.dispatcher: Dispatcher = state.dispatcher
        self.store = self.dispatcher.store
        self.keeper: Gatekeeper = state.keeper
        self.run_line: RunLine = state.run_line
        origin = request.client.host if request.client else "?"
        self.who = self.keeper.caller(request.headers.get("authorization"), origin)

    def stack_of(self, command_id: str) -> str:
        stack_id = self.store.runs.command(command_id).stack_id
        return str(self.store.revisions.name_of(stack_id))


Here = Annotated[Server, Depends(Server)]


@routes.get("/stacks")
def stacks(here: Here) -> list[str]:
    """Names of the stacks that the token may see."""
    token = here.who.token
    return [name for name in here.store.revisions.stacks() if token is None or token.may("show", name)]


@routes.get("/stacks/{stack}/instances")
def instances(stack: str, here: Here) -> list[dict[str, Any]]:
    """Every instance of the stack: state, last event and its outcome, address, heartbeat."""
    here.keeper.admit(here.who, "status", stack, f"GET instances of {stack}")
    return [asdict(each) for each in here.store.instances.of(here.store.revisions.stack_id(stack))]


@routes.get("/stacks/{stack}/commands")
def commands(stack: str, here: Here, limit: int = 30) -> list[dict[str, Any]]:
    """Commands, newest first."""
    here.keeper.admit(here.who, "runs", stack, f"GET commands of {stack}")
    return [asdict(each) for each in here.store.runs.commands(here.store.revisions.stack_id(stack), min(limit, 1000))]


@routes.post("/stacks/{stack}/revisions", status_code=201)
def push(stack: str, here: Here, pushed: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Push a frozen revision ({"content", "message"}) whose contents the server holds already."""
    here.keeper.admit(here.who, "push", stack, f"POST revision of {stack}")
    try:
        revision = Revision.load(pushed["content"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"that is no frozen revision: {error!r}") from None
    if revision.stack.name != stack:
        raise UsageError(f"the revision is of stack {revision.stack.name!r}, not of {stack!r}")
    contents = {entry[2] for manifest in revision.manifests.values() for entry in manifest}
    missing = sorted(each for each in contents if not here.store.blobs.holds(each))
    if missing:
        raise UsageError(f"{len(missing)} contents have to be sent first, among them {missing[0]}")
    if pushed.get("abandon") is not True:
        refuse_to_abandon(here.store, revision)
    kept = here.store.push(revision, author=here.who.label, message=str(pushed.get("message", "")))
    return {"stack": kept.stack, "revision": kept.number, "hash": kept.hash}


@routes.get("/blobs/{sha256}")
def has_blob(sha256: str, here: Here) -> Response:
    """204 when the server holds the content, 404 when it has to be sent before a push."""
    return Response(status_code=204 if here.store.blobs.holds(sha256) else 404)


@routes.put("/blobs/{sha256}", status_code=204)
async def put_blob(sha256: str, request: Request, here: Here) -> Response:
    """Send one content; it is checked against its hash."""
    if here.who.token is not None and "manage" not in here.who.token.scopes.values():
        raise Forbidden("sending contents needs the scope manage on some stack")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BLOB_BYTES:
            raise UsageError(f"a content is larger than {MAX_BLOB_BYTES} bytes")
    if content_hash(bytes(content)) != sha256:
        raise UsageError("the content does not have the hash that it was sent under")
    here.store.blobs.put(bytes(content))
    return Response(status_code=204)


@routes.post("/commands", status_code=202)
def begin(here: Here, command: Annotated[dict[str, Any], Body()]) -> dict[str, str]:
    """Give a command ({"kind", "stack", ..}); answers with its id at once."""
    wanted = replace(Command.from_dict(command), initiated_by=here.who.label)
    number = here.keeper.admit(here.who, wanted.kind, wanted.stack, f"POST {wanted.kind} of {wanted.stack}")
    here.keeper.check_gates(here.who, (wanted.rollout or {}).get("gates") or ())
    command_id = here.dispatcher.begin(wanted)
    here.store.audit.ended(number, 0)
    return {"command": command_id}


@routes.get("/commands/{command_id}")
def command_report(command_id: str, here: Here) -> dict[str, Any]:
    """What has come of a command so far: each instance's outcome, totals, exit code."""
    here.keeper.admit(here.who, "show", here.stack_of(command_id), f"GET command {command_id}")
    return here.dispatcher.report(command_id).to_dict()


@routes.get("/commands/{command_id}/events")
def events(command_id: str, here: Here) -> StreamingResponse:
    """The command's events as they come (server-sent events), to its end."""
    here.keeper.admit(here.who, "show", here.stack_of(command_id), f"GET events of {command_id}")
    return StreamingResponse(_follow(here.dispatcher, command_id), media_type="text/event-stream")


@routes.post("/commands/{command_id}/cancel", status_code=202)
def cancel(command_id: str, here: Here) -> dict[str, str]:
    """Begin nothing more of the command."""
    here.keeper.admit(here.who, "cancel", here.stack_of(command_id), f"POST cancel of {command_id}")
    here.dispatcher.cancel(command_id)
    return {"command": command_id}


@routes.post("/commands/{command_id}/pause", status_code=202)
def pause(command_id: str, here: Here) -> dict[str, str]:
    """Let a rollout finish the batch that it is at, and begin no other."""
    here.keeper.admit(here.who, "pause", here.stack_of(command_id), f"POST pause of {command_id}")
    return {"command": here.dispatcher.pause(command_id)}


@routes.post("/commands/{command_id}/resume", status_code=202)
def resume(command_id: str, here: Here) -> dict[str, str]:
    """Let a paused rollout go on."""
    here.keeper.admit(here.who, "resume", here.stack_of(command_id), f"POST resume of {command_id}")
    return {"command": here.dispatcher.unpause(command_id)}


@routes.post("/commands/{command_id}/abort", status_code=202)
def abort(command_id: str, here: Here, keep: bool = False) -> dict[str, str]:
    """End a rollout after the batch that it is at, and take back what it has done unless `keep`."""
    here.keeper.admit(here.who, "abort", here.stack_of(command_id), f"POST abort of {command_id}")
    return {"command": here.dispatcher.abort(command_id, keep=keep)}


@routes.post("/command-lines")
def command_line(here: Here, line: Annotated[dict[str, Any], Body()]) -> StreamingResponse:
    """Run one command line of the thin client; one JSON message a line comes back while it goes on."""
    messages = (json.dumps(message) + "\n" for message in here.run_line(here.who, line))
    return StreamingResponse(messages, media_type="application/x-ndjson")


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CooklineError)
    return JSONResponse({"error": error.message, "hint": error.hint}, status_code=_status_of(error))


def _status_of(error: CooklineError) -> int:
    if isinstance(error, Forbidden):
        return error.status
    if isinstance(error, SelectorError):
        return 404
    return 400 if isinstance(error, UsageError) else 500


def _follow(dispatcher: Dispatcher, command_id: str) -> Iterator[str]:
    """Events of the command from now on; the last one is `finished`."""
    waiting: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()

    def hear(instance: str, event: dict[str, Any]) -> None:
        if event.get("command") == command_id:
            waiting.put((instance, event))

    unsubscribe = dispatcher.progress.subscribe(hear)
    try:
        record = dispatcher.store.runs.command(command_id)
        if record.finished is not None:
            yield _sent("", {"kind": "finished", "command": command_id, "exit_code": record.exit_code})
            return
        while True:
            try:
                instance, event = waiting.get(timeout=KEEPALIVE_SECONDS)
            except queue.Empty:
                yield ": still there\n\n"
                continue
            yield _sent(instance, event)
            if event["kind"] == "finished":
                return
    finally:
        unsubscribe()


def _sent(instance: str, event: dict[str, Any]) -> str:
    return f"event: {event['kind']}\ndata: {json.dumps({**event, 'instance': instance}, default=str)}\n\n"
