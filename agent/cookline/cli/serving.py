"""Serves command lines on `.cookline/server.sock`: each runs as it would in a process of its own, on shared connections."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cookline.cli.app import parameters, run_command
from cookline.cli.session import Session, Terminal
from cookline.cli.thin import LOCAL
from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.control.server.gatekeeper import Caller, Forbidden, Gatekeeper
from cookline.control.store.runs import CommandRecord
from cookline.errors import EXIT_USAGE, CooklineError

BACKLOG = 64
YAML = (".yml", ".yaml")
# Commands that read or write files beside them; over the network they would touch the server's.
HERE_ONLY = frozenset({"push", "register", "clone", "token", "audit", "backup"})
# Commands that name a run or a command instead of a stack.
OF_A_RUN = frozenset({"show", "attach", "resume", "pause", "abort", "cancel", "undo"})

Send = Callable[[dict[str, Any]], object]


class LineRunner:
    """Runs command lines of thin clients, whichever way they came, with the server's store and dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.keeper = Gatekeeper(dispatcher.store)

    def run(self, caller: Caller, request: dict[str, Any], send: Send, hear: Callable[[Session], None]) -> int:
        """Run one line and send what it says; its exit status. `hear` may watch for interrupts."""
        arguments = [str(word) for word in request.get("arguments", [])]
        terminal = Terminal(
            lambda text: send({"out": text}),
            lambda text: send({"error": text}),
            int(request.get("width", 120)),
            bool(request.get("terminal")),
            began=lambda command: send({"command": command}),
        )
        cwd = Path(str(request.get("cwd", "."))) if caller.token is None else self.dispatcher.store.directory.parent
        store = self.dispatcher.store
        session = Session(terminal, cwd=cwd, store=store, dispatcher=self.dispatcher, asked_by=caller.label)
        number = self._admit(caller, arguments, session)
        if number is None:
            return EXIT_USAGE
        hear(session)
        status = run_command(arguments, session)
        self.dispatcher.store.audit.ended(number, status)
        return status

    def _admit(self, caller: Caller, arguments: list[str], session: Session) -> int | None:
        """The audit entry's number, None when the caller was refused and told so."""
        command = next((word for word in arguments if not word.startswith("-")), "")
        try:
            if caller.token is not None and command in LOCAL | HERE_ONLY:
                raise Forbidden(f"{command} works on files of the machine where it runs; a server does not do it for others")
            if caller.token is not None:
                given = parameters(arguments, session)
                self.keeper.check_gates(caller, given.get("gate") or ())
                # `diff --file`, `explain --stack FILE`: what is wrong with a file is told with its lines
                if given.get("file") is not None or "/" in str(given.get("stack")) or str(given.get("stack")).endswith(YAML):
                    raise Forbidden("a server reads no files of its own machine for others", hint="name a pushed stack")
                if command == "app" and parameters(arguments, session).get("action"):
                    command = "run"
            stack = self._stack(arguments, session) if caller.token is not None else self._named(arguments)
            return self.keeper.admit(caller, command, stack, " ".join(arguments))
        except CooklineError as error:
            session.warn(f"cookline: {error}")
            return None

    def _stack(self, arguments: list[str], session: Session) -> str | None:
        """The stack that a line is about, as the command itself would read it; None when it is about all of them."""
        values = parameters(arguments, session)
        if values.get("stack"):
            return str(values["stack"])
        identifier = values.get("run") or values.get("command")
        return None if identifier is None else self._stack_of(str(identifier))

    def _named(self, arguments: list[str]) -> str | None:
        """The stack that a line of the server's own user names, for the audit log alone: that needs no parsing."""
        known = set(self.dispatcher.store.revisions.stacks())
        words = [word for word in arguments[1:] if not word.startswith("-")]
        named = next((word for word in words if word in known), None)
        if named is None and words and arguments[0] in OF_A_RUN:
            with contextlib.suppress(CooklineError):
                return self._stack_of(words[0])
        return named

    def _stack_of(self, identifier: str) -> str:
        """The stack of a run or command."""
        runs = self.dispatcher.store.runs
        found = runs.find(identifier)
        command = found if isinstance(found, CommandRecord) else runs.command(found.command_id)
        return self.dispatcher.store.revisions.name_of(command.stack_id)

    def messages(self, caller: Caller, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The same as an iterator, for HTTP; the command goes on when nobody reads any more."""
        waiting: queue.Queue[dict[str, Any]] = queue.Queue()

        def work() -> None:
            try:
                waiting.put({"exit": self.run(caller, request, waiting.put, lambda session: None)})
            except BaseException as error:
                waiting.put({"error": f"cookline: {error}\n"})
                waiting.put({"exit": 1})

        threading.Thread(target=work, name="command", daemon=True).start()
        while True:
            message = waiting.get()
            yield message
            if "exit" in message:
                return


class CommandSocket:
    """Accepts thin clients (cli/thin.py); only this user may connect. `stop` is called when one asks the server to end."""

    def __init__(self, path: Path, runner: LineRunner, stop: Callable[[], None]) -> None:
        self.path, self.runner, self.stop = path, runner, stop
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
                _send(connection, {"exit": self._run(request, connection, lines)})
            except (OSError, ValueError):
                return  # the client has gone; its command goes on

    def _run(self, request: dict[str, Any], connection: socket.socket, lines: BinaryIO) -> int:
        def send(message: dict[str, Any]) -> None:
            # when nobody reads any more, the command goes on and its report stays in the store
            with contextlib.suppress(OSError):
                _send(connection, message)

        def hear(session: Session) -> None:
            threading.Thread(target=_hear_interrupts, args=(lines, session), name="interrupts", daemon=True).start()

        return self.runner.run(Caller(_peer(connection), "local"), request, send, hear)

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


def _peer(connection: socket.socket) -> str:
    """The name of the user at the other end, as the kernel knows it."""
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


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
