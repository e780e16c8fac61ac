"""This machine as a host: the same command, started as a child process. For tests of the host wing and for local kitchens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import replace

from cookline.control.transport.base import Connection, LinkLost, Target
from cookline.errors import HostileOutput
from cookline.protocol import MAX_LINE_BYTES

READ_BYTES = 65536
ERROR_BYTES = 64 * 1024


class LocalTransport:
    """`Target.options["state"]` is the state directory; without it the machine's own, which only root can write."""

    name = "local"

    def connect(self, target: Target) -> Connection:
        return LocalConnection(replace(target, become=False, user=target.user or "root", port=target.port or 0))


class LocalConnection:
    def __init__(self, target: Target) -> None:
        self.target = target
        self._open = True

    def execute(self, command: str) -> LocalChannel:
        if not self._open:
            raise LinkLost(f"the connection to {self.target.instance} was closed")
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}
        if "state" in self.target.options:
            environment["COOKLINE_STATE"] = str(self.target.options["state"])
        return LocalChannel(command, environment)

    def alive(self) -> bool:
        return self._open

    def close(self) -> None:
        self._open = False


class LocalChannel:
    """See base.Channel."""

    def __init__(self, command: str, environment: dict[str, str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,
        )
        self._buffer = b""

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) or 0 :]

    def readline(self, timeout: float | None = None) -> bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise HostileOutput(f"a line without end (over {MAX_LINE_BYTES} bytes)")
            data = self._receive(deadline)
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def _receive(self, deadline: float | None) -> bytes:
        assert self._process.stdout is not None
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([self._process.stdout], [], [], left)
        if not readable:
            raise TimeoutError
        return self._process.stdout.read(READ_BYTES) or b""

    def is_open(self) -> bool:
        return self._process.poll() is None

    def close_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def exit_status(self, timeout: float = 10.0) -> int:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return -1

    def errors(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - ERROR_BYTES))
        return self._stderr.read().decode(errors="replace")

    def close(self) -> None:
        """Like a closed SSH channel: the command gets a broken pipe and the hang-up signal."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGHUP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
