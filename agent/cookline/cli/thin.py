"""Hands a command line to the running server over its Unix socket and copies what comes back; standard library only.

The server runs the very code that would run here and renders for this terminal, so the output is the same. Every line that
comes back is one JSON object: {"out": text}, {"error": text}, {"command": id} or {"exit": status}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any, TextIO

SOCKET = "server.sock"
# Commands that concern this process, this terminal or this working directory alone.
LOCAL = frozenset({"init", "schema", "backup", "server", "demo", "trust", "register", "kitchen", "watch", "check", "docs"})
# Options that need no server, or go on until Ctrl-C.
OWN_OPTIONS = frozenset({"--help", "--no-server", "--watch"})
# Commands that read files here and speak to a server on the network themselves.
REMOTE_BY_ITSELF = frozenset({"push"})
INTERRUPTED = 130


def directory() -> str:
    """The `.cookline` directory of this project."""
    return os.environ.get("COOKLINE_DIRECTORY") or os.path.join(os.getcwd(), ".cookline")


def write(stream: TextIO, text: str) -> None:
    """Write at once. A reader that has seen enough (head, less) ends the output, not the command."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def through_server(arguments: list[str]) -> int | None:
    """The command's exit status by the server; None when there is no server or the command is for this process."""
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is None or command in LOCAL or OWN_OPTIONS.intersection(arguments):
        return None
    if os.environ.get("COOKLINE_SERVER") and command not in REMOTE_BY_ITSELF:
        from cookline.cli.remote import through_network

        return through_network(arguments, _request(arguments), write)
    path = os.path.join(directory(), SOCKET)
    if not os.path.exists(path):
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None  # a server that died left its socket behind
    with connection:
        return _converse(connection, arguments)


def _request(arguments: list[str]) -> dict[str, Any]:
    try:
        width = os.get_terminal_size().columns if sys.stdout.isatty() else 120
    except OSError:
        width = 120
    return {"arguments": arguments, "cwd": os.getcwd(), "width": width, "terminal": sys.stdout.isatty()}


def _converse(connection: socket.socket, arguments: list[str]) -> int:
    request = _request(arguments)
    connection.sendall(json.dumps(request).encode() + b"\n")
    interrupts = 0

    def interrupt(_signal: int, _frame: Any) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            sys.stderr.write("\ndetached; `cookline runs` shows how it goes on\n")
            os._exit(INTERRUPTED)
        connection.sendall(b'{"interrupt": true}\n')

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        with connection.makefile("rb") as answers:
            for line in answers:
                message = json.loads(line)
                if "exit" in message:
                    return int(message["exit"])
                if "command" not in message:
                    write(sys.stderr if "error" in message else sys.stdout, message.get("out") or message.get("error") or "")
    finally:
        signal.signal(signal.SIGINT, previous)
    sys.stderr.write("cookline: the server went away; `cookline runs` after its restart shows what became of the command\n")
    return 1
