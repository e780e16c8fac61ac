"""The sink as an ASGI application: CloudWatch at the root of a server.

    app = create_app(MetricStore("metrics.db"), {"AKIA..": Credential("AKIA..", "secret")}.get)

Every answer carries a Date (clients correct their clocks by it) and a request id, and speaks the client's own protocol; nothing
is ever answered in HTML. Run it under a server that adds no Date of its own (uvicorn: date_header=False).
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cookline.cloudwatch import codec, faults
from cookline.cloudwatch.service import Service
from cookline.cloudwatch.sigv4 import Credentials, Request, verify
from cookline.cloudwatch.store import MetricStore

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client left before its request was whole."""


class Sink:
    """ASGI 3 application; see create_app."""

    def __init__(self, store: MetricStore, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._service, self._credentials, self._clock = Service(store), credentials, clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        request = _request(scope)
        request_id = str(uuid.uuid4())
        wire = codec.wire_of(request.headers)
        status, unread = 200, False
        try:
            request = Request(request.method, request.path, request.query, request.headers, await _read_body(request, receive))
            headers, body = await self._answer(wire, request, request_id)
        except ClientGone:
            return
        except faults.Fault as fault:
            unread = fault.status == 413
            status, headers, body = wire.refuse(fault, request, request_id)
        except Exception:
            _log.exception("request %s failed", request_id)
            status, headers, body = wire.refuse(faults.internal(), request, request_id)
        headers |= {"x-amzn-requestid": request_id, "date": email.utils.formatdate(self._clock(), usegmt=True)}
        headers |= {"content-length": str(len(body)), **({"connection": "close"} if unread else {})}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, wire: codec.Wire, request: Request, request_id: str) -> tuple[dict[str, str], bytes]:
        now = self._clock()
        credential = verify(request, self._credentials, now)
        body = codec.unpacked(request)
        name = wire.operation(request, body)
        parameters = wire.read(name, body)
        if name == "PutMetricData":
            result = self._service.call(name, parameters, credential, now)
        else:
            # reading may take long; putting must not wait for it
            result = await asyncio.to_thread(self._service.call, name, parameters, credential, now)
        return wire.answer(name, result, request_id)


def create_app(store: MetricStore, credentials: Credentials, *, clock: Callable[[], float] = time.time) -> Sink:
    """The CloudWatch endpoint on `store`; `credentials` finds a Credential by its access key (None: unknown)."""
    return Sink(store, credentials, clock)


def _request(scope: Message) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), headers)


async def _read_body(request: Request, receive: Receive) -> bytes:
    """The whole body, or the fault of one that is too large.

    Such a body is read on into nothing, as far as is reasonable: a client that is cut off while sending never sees the answer.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or int(announced[:20]) > _MAX_DISCARDED:
        raise faults.too_large(codec.MAX_BODY)
    parts, length, more = [], 0, True
    while more and length <= _MAX_DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        length += len(message.get("body", b""))
        if length <= codec.MAX_BODY:
            parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if length > codec.MAX_BODY:
        raise faults.too_large(codec.MAX_BODY)
    return b"".join(parts)


_MAX_DISCARDED = 16 * codec.MAX_BODY


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
