"""Speaks to a server on the network: COOKLINE_SERVER is its address, COOKLINE_TOKEN opens it, COOKLINE_CA trusts it.

Standard library only: a thin client starts in 40 ms.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from cookline.errors import EXIT_FAILED, EXIT_INTERRUPTED, CooklineError, Unreachable, UsageError

# For the answer to begin; a command's own messages may be as far apart as its hosts are slow.
ANSWER_SECONDS = 60.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Server:
    """One server. Raises UsageError for an address that is none, or that would send the token in clear over a network."""

    def __init__(self, address: str, token: str, ca: str | None = None) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"COOKLINE_SERVER={address!r} is not an address such as https://cook.example.org:8488")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise UsageError(f"{address} would send the token in clear", hint="use https, or http on loopback through a tunnel")
        if not token:
            raise UsageError("COOKLINE_TOKEN is empty", hint="`cookline token create NAME` on the server makes one")
        self.address, self._parts, self._token, self._ca = address, parts, token, ca

    @classmethod
    def of_environment(cls) -> Server | None:
        """The server that the environment names, None without one."""
        address = os.environ.get("COOKLINE_SERVER")
        if not address:
            return None
        return cls(address, os.environ.get("COOKLINE_TOKEN", ""), os.environ.get("COOKLINE_CA"))

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> http.client.HTTPResponse:
        """The answer, whatever its status. Raises Unreachable."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            hint = "COOKLINE_CA names the file of its certificate authority" if "certificate" in str(error).lower() else None
            raise Unreachable(f"the server {self.address} does not answer: {error}", hint=hint) from None

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """The answer's JSON. Raises CooklineError with the server's own sentence for a refusal."""
        answer = self.request(method, path, None if value is None else json.dumps(value).encode())
        content = answer.read()
        if answer.status >= 400:
            raise refusal(answer.status, content)
        return json.loads(content) if content else None

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        import ssl

        context = ssl.create_default_context(cafile=self._ca)
        return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context)


def refusal(status: int, content: bytes) -> CooklineError:
    """The error that a server's answer stands for."""
    try:
        answer = json.loads(content)
        message, hint = str(answer.get("error") or answer.get("detail")), answer.get("hint")
    except (ValueError, AttributeError):
        message, hint = f"the server answered {status}: {content[:200]!r}", None
    return UsageError(message, hint=hint) if status in (400, 401, 403, 404, 422) else CooklineError(message, hint=hint)


def through_network(arguments: list[str], line: dict[str, Any], out: Callable[[Any, str], None]) -> int:
    """Run a command line on the server that the environment names; `out(stream, text)` writes. Its exit status."""
    try:
        server = Server.of_environment()
        assert server is not None
        answer = server.request("POST", "/v1/command-lines", json.dumps(line).encode())
        if answer.status != 200:
            raise refusal(answer.status, answer.read())
        return _shown(server, answer, out)
    except CooklineError as error:
        out(sys.stderr, f"cookline: {error}\n")
        return error.exit_code


def _shown(server: Server, answer: http.client.HTTPResponse, out: Callable[[Any, str], None]) -> int:
    commands: list[str] = []
    interrupts = 0

    def interrupt(_signal: int, _frame: Any) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1 or not commands:
            out(sys.stderr, "\ndetached; `cookline runs` shows how it goes on\n")
            os._exit(EXIT_INTERRUPTED)
        out(sys.stderr, "stopping: nothing more begins, what runs is waited for; Ctrl-C again detaches\n")
        for command in commands:
            server.ask("POST", f"/v1/commands/{command}/cancel")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        for message in _messages(answer):
            if "exit" in message:
                return int(message["exit"])
            if "command" in message:
                commands.append(str(message["command"]))
            else:
                out(sys.stderr if "error" in message else sys.stdout, message.get("out") or message.get("error") or "")
    finally:
        signal.signal(signal.SIGINT, previous)
    out(sys.stderr, "cookline: the server went away; `cookline runs` after its restart shows what became of the command\n")
    return EXIT_FAILED


def _messages(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.strip():
            yield json.loads(line)
