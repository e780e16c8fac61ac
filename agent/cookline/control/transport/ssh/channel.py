"""One command on an SSH connection: its three streams, as lines with a limit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cookline.control.transport.base import LinkLost, Target
from cookline.errors import HostileOutput
from cookline.protocol import MAX_LINE_BYTES

if TYPE_CHECKING:
    import paramiko

READ_BYTES = 65536
ERROR_BYTES = 64 * 1024
# While standard output is silent, standard error is emptied this often: a full window would stop both.
SLICE_SECONDS = 1.0


class SshChannel:
    """See base.Channel. After `patience` seconds of silence `is_there` is asked whether the host still is."""

    def __init__(self, channel: paramiko.Channel, target: Target, is_there: Callable[[], bool], patience: float) -> None:
        self._channel = channel
        self._target = target
        self._is_there, self._patience = is_there, patience
        self._buffer = bytearray()
        self._searched = 0
        self._errors = bytearray()

    def send(self, data: bytes) -> None:
        try:
            self._channel.settimeout(None)
            self._channel.sendall(data)
        except OSError:
            if self._link_is_up():
                raise BrokenPipeError("the command on the host has ended") from None
            raise self._lost() from None

    def readline(self, timeout: float | None = None) -> bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                self._searched = 0
                return line
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE_BYTES:
                raise HostileOutput(f"{self._target.instance} sent a line without end (over {MAX_LINE_BYTES} bytes)")
            data = self._receive(deadline)
            if not data:
                rest = bytes(self._buffer)
                self._buffer.clear()
                self._searched = 0
                return rest
            self._buffer += data

    def _receive(self, deadline: float | None) -> bytes:
        """What comes next; b"" at the end of the stream. Raises LinkLost and TimeoutError."""
        heard = time.monotonic()
        while True:
            left = SLICE_SECONDS if deadline is None else min(SLICE_SECONDS, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(left)
            try:
                data = self._channel.recv(READ_BYTES)
            except TimeoutError:
                self._drain_errors()
                if time.monotonic() - heard > self._patience:
                    if not self._is_there():
                        raise self._lost() from None
                    heard = time.monotonic()
                continue
            self._drain_errors()
            if not data and not (self._channel.eof_received or self._channel.exit_status_ready()):
                raise self._lost()
            return data

    def _drain_errors(self) -> None:
        while self._channel.recv_stderr_ready():
            piece = self._channel.recv_stderr(READ_BYTES)
            if not piece:
                return
            self._errors += piece
            del self._errors[:-ERROR_BYTES]

    def _link_is_up(self) -> bool:
        transport = self._channel.get_transport()
        return transport is not None and transport.is_active()

    def _lost(self) -> LinkLost:
        return LinkLost(f"the connection to {self._target.instance} ({self._target.address}) broke")

    def is_open(self) -> bool:
        return self._link_is_up() and not (self._channel.closed or self._channel.eof_received)

    def close_input(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def exit_status(self, timeout: float = 10.0) -> int:
        return self._channel.recv_exit_status() if self._channel.status_event.wait(timeout) else -1

    def errors(self) -> str:
        self._drain_errors()
        return self._errors.decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()
