"""One command on a host that speaks the protocol: its start, the landing of what it lacks, its messages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from cookline.control.transport import diagnosis
from cookline.control.transport.base import Channel, Connection, LinkLost
from cookline.control.transport.bundle import Bundle, boot_command, landing_source
from cookline.control.transport.bytecode import Bytecode
from cookline.control.transport.printable import printable_value
from cookline.control.transport.trees import Trees
from cookline.errors import HostileOutput, Unreachable
from cookline.protocol import MAX_RUN_BYTES, PROTOCOL, decode, encode

# A host that is busy with an upgrade starts python3 in seconds, not milliseconds.
HELLO_SECONDS = 60.0
# Compiling and syncing a bundle on a slow disk.
LANDING_SECONDS = 180.0
SEND_BYTES = 256 * 1024
# Text that a login shell prints before our command starts (an `echo` in .bashrc).
MAX_NOISE_LINES = 50

Message = dict[str, Any]


class Session:
    """A conversation that has said hello; `hello` is what the host said of itself.

    Raises PythonMissing, BecomeError, HostStateError, Unreachable or LinkLost with what the host said.
    """

    def __init__(self, connection: Connection, bundle: Bundle) -> None:
        self.name = connection.target.instance
        self.target = connection.target
        self.bytes = 0
        self.channel: Channel = connection.execute(boot_command(connection.target, bundle.hashes))
        try:
            self.hello = self._handshake(bundle)
        except BaseException:
            self.channel.close()
            raise

    def _handshake(self, bundle: Bundle) -> Message:
        message = self._first()
        if message["kind"] == "need":
            self._check_need(message, bundle.hashes.values())  # before anything is sent
            self._send_landing(bundle.compiled(str(message.get("python"))))
            self.land(message, bundle.hashes.values(), bundle)
            message = self.receive(LANDING_SECONDS)
        if message["kind"] != "hello":
            raise HostileOutput(f"{self.name} began with {message['kind']!r} instead of hello")
        if message.get("protocol") != PROTOCOL:
            raise Unreachable(f"{self.name} speaks protocol {message.get('protocol')}, this is {PROTOCOL}")
        return message

    def _first(self) -> Message:
        """The first message, after what the login shell may have printed."""
        for _ in range(MAX_NOISE_LINES):
            line = self._line(HELLO_SECONDS)
            if line.startswith(b'{"kind"'):
                return self._decoded(line)
        raise HostileOutput(f"{self.name} prints text of its own: {line[:200]!r}", hint="look at the login shell's start files")

    # -- messages ------------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        self._send(encode(message))

    def _send(self, data: bytes) -> None:
        try:
            self.channel.send(data)
        except BrokenPipeError:
            self.receive(HELLO_SECONDS)  # raises with the reason, when the host gave one
            raise self.ended_error() from None

    def receive(self, timeout: float | None, *, run: str | None = None) -> Message:
        """The next message, checked and printable. Raises LinkLost, TimeoutError, HostileOutput, or the host's refusal."""
        return self._decoded(self._line(timeout), run)

    def receive_sized(self, timeout: float | None, *, run: str) -> tuple[Message | None, int]:
        """The next message with its length in bytes; None at the end of the stream."""
        line = self.channel.readline(timeout)
        self._count(line)
        return (self._decoded(line, run), len(line)) if line else (None, 0)

    def _line(self, timeout: float | None) -> bytes:
        try:
            line = self.channel.readline(timeout)
        except TimeoutError:
            raise Unreachable(
                f"{self.name} did not answer within {timeout:g} s", hint=f"is it overloaded? cookline status {self.name}"
            ) from None
        self._count(line)
        if not line:
            raise self.ended_error()
        return line

    def _count(self, line: bytes) -> None:
        self.bytes += len(line)
        if self.bytes > MAX_RUN_BYTES:
            raise HostileOutput(f"{self.name} sent more than {MAX_RUN_BYTES} bytes")

    def _decoded(self, line: bytes, run: str | None = None) -> Message:
        if not line.endswith(b"\n"):
            raise LinkLost(f"{self.name} stopped in the middle of a line")
        message: Message = printable_value(decode(line, run=run))
        if message["kind"] == "refused":
            raise diagnosis.refusal(self.target, message)
        return message

    def ended_error(self) -> Unreachable:
        return diagnosis.ended(self.target, self.channel.exit_status(), self.channel.errors())

    def close(self) -> None:
        self.channel.close()

    # -- landing -------------------------------------------------------------------------------------------------------

    def _send_landing(self, compiled: Bytecode) -> None:
        """The program that receives the bundle, and what goes into it beside its tree."""
        message = {"landing": landing_source(), "compiled": compiled.sizes, "packed": len(compiled.packed)}
        self._send(encode(message) + compiled.packed)

    def land(self, need: Message, offered: Iterable[str], trees: Trees) -> None:
        """Answer `need`: manifests, then the contents that the host lacks. Nothing but `offered` trees is given out."""
        manifests = {tree: trees.manifest(tree) for tree in self._check_need(need, offered)}
        self._send(b"".join(json.dumps({"tree": tree, "files": files}).encode() + b"\n" for tree, files in manifests.items()))
        lacking = self.receive(LANDING_SECONDS)
        contents = lacking.get("files")
        known = {entry[2] for files in manifests.values() for entry in files}
        if lacking["kind"] != "lacks" or not isinstance(contents, list) or not set(map(str, contents)) <= known:
            raise HostileOutput(f"{self.name} answered the manifests with {str(lacking)[:200]}")
        if contents:
            self._send_contents(contents, trees)

    def _check_need(self, need: Message, offered: Iterable[str]) -> list[str]:
        asked = need.get("trees")
        if not isinstance(asked, list) or not asked or not set(map(str, asked)) <= set(offered):
            raise HostileOutput(f"{self.name} asked for trees that are not part of this run: {str(asked)[:200]}")
        return asked

    def _send_contents(self, contents: list[str], trees: Trees) -> None:
        sizes = []
        for content in contents:
            with trees.open(content) as file:
                sizes.append(file.seek(0, 2))
        waiting = bytearray(encode({"sizes": sizes}))
        for content in contents:
            with trees.open(content) as file:
                while piece := file.read(SEND_BYTES):
                    waiting += piece
                    if len(waiting) >= SEND_BYTES:
                        self._send(bytes(waiting))
                        waiting.clear()
        self._send(bytes(waiting))


def monotonic_left(deadline: float | None) -> float | None:
    """Seconds until `deadline` (time.monotonic), at least 0; None for no deadline."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
