"""Gates: whether a batch is well before the next one begins.

    http://{address}:8080/health   each instance of the batch must answer with a status of 2xx
    ssh:COMMAND                    COMMAND must end with 0 on each instance of the batch
    command:COMMAND                COMMAND must end with 0 here; with a placeholder once for each instance, else once a batch
    alarm:NAME                     the CloudWatch alarm NAME must be OK; with a placeholder that of each instance

Placeholders: {address}, {private_address}, {name}. What a URL leads to is not believed: http and https only, no redirects, no
proxies of the environment, no link-local address (that is where clouds keep their credentials), and the address that was
looked at is the one that is spoken to.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import shlex
import socket
import ssl
import string
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cookline.errors import CooklineError, RunError, UsageError

if TYPE_CHECKING:
    from cookline.control.transport.base import Connection

PLACEHOLDERS = ("address", "private_address", "name")
# An attempt that hangs must leave time for others; services that start answer within this or not at all.
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 0.5
ANSWER_BYTES = 64 * 1024

HINT = "gates are http://HOST/PATH, https://HOST/PATH, ssh:COMMAND, command:COMMAND, alarm:NAME"


@dataclass(frozen=True)
class Reach:
    """What gates get at: the connection to an instance by its name, and an alarm's state by the alarm's."""

    connect: Callable[[str], Connection]
    alarm: Callable[[str], tuple[str, str]]


@dataclass(frozen=True)
class Gate:
    """One gate. `kind` is "http", "ssh", "command" or "alarm"; `text` its URL, command or name, with placeholders."""

    kind: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Raises UsageError."""
        kind, _, rest = text.partition(":")
        if kind in ("http", "https"):
            parts = urlsplit(text)
            if not parts.netloc or "@" in parts.netloc:
                raise UsageError(f"the gate {text!r} is no URL; names and passwords do not belong into one")
            kind, rest = "http", text
        elif kind not in ("ssh", "command", "alarm") or not rest.strip():
            raise UsageError(f"{text!r} is no gate", hint=HINT)
        with _own_words(text):
            named = {name for _, name, _, _ in string.Formatter().parse(rest) if name is not None}
            if named - set(PLACEHOLDERS):
                raise ValueError(f"unknown placeholder {', '.join(sorted(named - set(PLACEHOLDERS)))}")
        return cls(kind, rest)

    @property
    def each(self) -> bool:
        """Whether it is asked for each instance rather than once for the batch."""
        return self.kind == "ssh" or any(f"{{{name}}}" in self.text for name in PLACEHOLDERS)

    def ask(self, values: Mapping[str, str], reach: Reach, seconds: float) -> None:
        """Ask once. Raises RunError, or another CooklineError, with what is not well."""
        if self.kind in ("http", "alarm"):
            text = self.text.format_map(values)
            _ask_http(text, seconds) if self.kind == "http" else _ask_alarm(reach, text)
            return
        command = self.text.format_map({name: shlex.quote(value) for name, value in values.items()})
        if self.kind == "ssh":
            _ask_host(reach.connect(values["name"]), command, seconds)
        else:
            _ask_here(command, seconds)


@contextlib.contextmanager
def _own_words(text: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except ValueError as error:
        raise UsageError(f"the gate {text!r} is not right: {error}", hint=f"placeholders: {', '.join(PLACEHOLDERS)}") from None


def passes(gate: Gate, values: Mapping[str, str], reach: Reach, within: float, stop: Callable[[], bool]) -> str | None:
    """Ask until the gate is passed; None, or what it said last when `within` seconds were not enough or `stop()` says so."""
    deadline = time.monotonic() + within
    while True:
        left = deadline - time.monotonic()
        try:
            gate.ask(values, reach, max(0.1, min(ATTEMPT_SECONDS, left)))
            return None
        except CooklineError as error:
            said = error.message
        if stop():
            return f"{said} (not waited for any longer)"
        if time.monotonic() + PAUSE_SECONDS >= deadline:
            return said
        time.sleep(PAUSE_SECONDS)


def _ask_http(url: str, seconds: float) -> None:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        stream = _connect(parts.hostname or "", port, seconds)
        try:
            if parts.scheme == "https":
                stream = ssl.create_default_context().wrap_socket(stream, server_hostname=parts.hostname)
            status = _status(stream, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), seconds)
        finally:
            stream.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RunError(f"{url}: {error or type(error).__name__}") from None
    if not 200 <= status < 300:
        raise RunError(f"{url} answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else ""))


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    """Speak to the very address that was looked at. Raises OSError."""
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if forbidden(str(place[0])):
        raise OSError(f"{place[0]} is a link-local address, which gates do not ask")
    stream = socket.socket(family, kind, protocol)
    stream.settimeout(seconds)
    try:
        stream.connect(place)
    except BaseException:
        stream.close()
        raise
    return stream


def forbidden(address: str) -> bool:
    """Whether a gate must not ask there.

    >>> forbidden("169.254.169.254"), forbidden("::ffff:169.254.0.1"), forbidden("127.0.0.1")
    (True, True, False)
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_link_local or found.is_multicast or found.is_unspecified


def _status(stream: socket.socket, host: str, path: str, seconds: float) -> int:
    connection = http.client.HTTPConnection(host, timeout=seconds)
    connection.sock = stream
    connection.request("GET", path, headers={"Host": host, "User-Agent": "cookline-gate", "Connection": "close"})
    with connection.getresponse() as answer:
        answer.read(ANSWER_BYTES)
        return answer.status


def _ask_alarm(reach: Reach, name: str) -> None:
    state, why = reach.alarm(name)
    if state != "OK":
        raise RunError(f"alarm {name} is {state}" + (f": {why[:200]}" if why else ""))


def _ask_here(command: str, seconds: float) -> None:
    try:
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise RunError(f"`{command}` did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise RunError(f"`{command}` ended with {done.returncode}" + (f": {said[-1][:200]}" if said else ""))


def _ask_host(connection: Connection, command: str, seconds: float) -> None:
    channel = connection.execute(f"sh -c {shlex.quote(f'exec 2>&1; {command}')}")
    try:
        channel.close_input()
        deadline, last = time.monotonic() + seconds, b""
        while line := channel.readline(max(0.1, deadline - time.monotonic())):
            last = line
        status = channel.exit_status()
    except TimeoutError:
        raise RunError(f"`{command}` did not end within {seconds:.0f} s") from None
    finally:
        channel.close()
    if status != 0:
        raise RunError(f"`{command}` ended with {status}: {last.decode(errors='replace').strip()[:200]}")
