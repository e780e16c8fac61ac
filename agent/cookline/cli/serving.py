"""Serves command lines on `.cookline/server.sock`: each runs as it would in a process of its own, on shared connections."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal
from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.errors import CooklineError

BACKLOG = 64


class CommandSocket:
    """Accepts thin clients (cli/thin.py); only this user may connect. `stop` is called when one asks the server to end."""

    def __init__(self, path: Path, dispatcher: Dispatcher, stop: Callable[[], None]) -> None:
        self.path, self.dispatcher, self.stop = path, dispatcher, stop
        self._socket = _bind(path)
        self._thread = threading.Thread(target=self._accept, name="commands", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="command", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                request = json.loads(lines.readline() or b"{}")
                if not request:
                    return  # somebody only looked whether the server is there
                if request.get("stop"):
                    _send(connection, {"exit": 0})
                    self.stop()
                    return
                status = self._run(request, connection, lines)
                _send(connection, {"exit": status})
            except (OSError, ValueError):
                return  # the client has gone; its command goes on

    def _run(self, request: dict[str, Any], connection: socket.socket, lines: BinaryIO) -> int:
        def write(kind: str) -> Callable[[str], None]:
            def put(text: str) -> None:
                # when nobody reads any more, the command goes on and its report stays in the store
                with contextlib.suppress(OSError):
                    _send(connection, {kind: text})

            return put

        terminal = Terminal(write("out"), write("error"), int(request.get("width", 120)), bool(request.get("terminal")))
        session = Session(
            terminal, cwd=Path(str(request.get("cwd", "."))), store=self.dispatcher.store, dispatcher=self.dispatcher
        )
        threading.Thread(target=_hear_interrupts, args=(lines, session), name="interrupts", daemon=True).start()
        return run_command([str(word) for word in request.get("arguments", [])], session)

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


def _hear_interrupts(lines: BinaryIO, session: Session) -> None:
    try:
        for line in lines:
            if json.loads(line).get("interrupt"):
                session.interrupt()
    except (OSError, ValueError):
        return


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _bind(path: Path) -> socket.socket:
    """The socket, 0600 from its first moment. A dead server's socket is replaced, a living one's is not."""
    if answers(path):
        raise CooklineError(f"a server runs already in {path.parent}", hint="cookline server --stop ends it")
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(BACKLOG)
    return listening


def answers(path: Path) -> bool:
    """Whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
