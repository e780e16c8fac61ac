"""Hand-made requests: signed by botocore's signer, sent over HTTP or straight into the application."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cookline.cloudwatch import cbor
from cookline.cloudwatch.app import Sink

TARGET = "GraniteServiceVersion20100801"
PROTOCOLS = ("json", "query", "cbor")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """`__type` without its namespace, or the query protocol's code."""
        if "xml" in self.headers["content-type"]:
            return re.search(rb"<Code>(.*?)</Code>", self.body)[1].decode()  # type: ignore[index]
        told = cbor.loads(self.body) if "cbor" in self.headers["content-type"] else json.loads(self.body)
        return str(told["__type"]).rpartition("#")[2]


def dressed(protocol: str, operation: str) -> tuple[str, dict[str, str]]:
    """Path and headers that name an operation in a protocol."""
    if protocol == "json":
        return "/", {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"{TARGET}.{operation}"}
    if protocol == "cbor":
        headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return f"/service/{TARGET}/operation/{operation}", headers
    return "/", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def encoded(protocol: str, operation: str, parameters: dict[str, Any]) -> bytes:
    """Parameters as a body; for query they are given as form fields."""
    if protocol == "json":
        return json.dumps(parameters).encode()
    if protocol == "cbor":
        return cbor.dumps(parameters)
    return urlencode({"Action": operation, "Version": "2010-08-01", **parameters}).encode()


def signed(
    url: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    key: str = "AKADMIN",
    secret: str = "admin-secret",
    skew: float = 0,
) -> dict[str, str]:
    request = AWSRequest("POST", url + path, headers=headers, data=body)
    stamp = datetime.datetime.fromtimestamp(time.time() + skew, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = request.headers["X-Amz-Date"] = stamp
    signer = SigV4Auth(Credentials(key, secret), "monitoring", "eu-central-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return {name.lower(): value for name, value in request.headers.items()}


def send(url: str, path: str, headers: dict[str, str], body: bytes, method: str = "POST") -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def ask(url: str, protocol: str, operation: str, body: bytes, **more: Any) -> Answer:
    """One signed request."""
    path, headers = dressed(protocol, operation)
    headers |= more.pop("headers", {})
    return send(url, path, signed(url, path, headers, body, **more), body)


def inject(app: Sink, path: str, headers: dict[str, str], body: bytes) -> Answer:
    """A request into the application, without a server."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, collect))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, sent[1]["body"])
