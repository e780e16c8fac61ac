"""cookline server: keeps connections open, collects from the agents, holds the metric sink, and runs commands quickly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from cookline.cli.session import Session, session
from cookline.cli.thin import SOCKET
from cookline.errors import CooklineError

# Launching the engine takes about a second on a slow machine.
START_SECONDS = 30.0


def server(
    detach: Annotated[bool, typer.Option("--detach", help="Go to the background when it is ready.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the server of this directory.")] = False,
    port: Annotated[int, typer.Option("--port", help="Of the metric sink, on 127.0.0.1; 0 takes a free one.")] = -1,
) -> None:
    """Run the server of this directory: commands go through it, agents are collected from once a minute, and CloudWatch
    clients read their metrics at its sink.

    Example: cookline server --detach; cookline status shop; cookline server --stop
    """
    here = session()
    socket_path = here.directory / SOCKET
    if stop:
        _stop(here, socket_path)
    elif detach:
        _detach(here, socket_path, port)
    else:
        _serve(here, socket_path, port)


def _serve(here: Session, socket_path: Path, port: int) -> None:
    from cookline.cli.serving import CommandSocket
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.server.collector import Collector
    from cookline.control.server.sink import DEFAULT_PORT, Sink
    from cookline.control.transport.pool import Pool

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # sessions kept ready on the hosts: a run begins 50 ms sooner
    dispatcher = Dispatcher(here.store, name="cookline server", pool=Pool(warm=True))
    sink = Sink(here.directory, port=DEFAULT_PORT if port < 0 else port)
    dispatcher.sink = sink.put
    collector = Collector(dispatcher, sink.put, here.warn)
    try:
        dispatcher.engine()
        commands = CommandSocket(socket_path, dispatcher, ended.set)
        collector.start()
        here.say(f"commands at {socket_path}, metrics at {sink.access.endpoint} (keys in {here.directory / 'sink.json'})")
        ended.wait()
        commands.close()
    finally:
        collector.close()
        sink.close()
        dispatcher.close()


def _detach(here: Session, socket_path: Path, port: int) -> None:
    from cookline.cli.serving import answers

    if answers(socket_path):
        raise CooklineError(f"a server runs already in {here.directory}", hint="cookline server --stop ends it")
    here.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_path = here.directory / "server.log"
    command = [sys.executable, "-m", "cookline.cli", "server", "--port", str(port)]
    with open(os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=here.cwd,
            env={**os.environ, "COOKLINE_DIRECTORY": str(here.directory)},
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers(socket_path):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_path.read_text().strip().splitlines()[-3:]
            raise CooklineError("the server did not start:\n  " + "\n  ".join(tail), hint=f"its log is {log_path}")
        time.sleep(0.02)
    here.say(f"server: process {process.pid}, log {log_path}")


def _stop(here: Session, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(socket_path))
        except OSError:
            here.say("no server runs here")
            return
        connection.sendall(json.dumps({"stop": True}).encode() + b"\n")
        connection.recv(100)
    from cookline.control.lifecycle.lock import holder

    deadline = time.monotonic() + START_SECONDS
    while holder(here.directory) is not None:
        if time.monotonic() > deadline:
            raise CooklineError(
                f"the server has not ended within {START_SECONDS:g} s", hint=f"look at {here.directory}/server.log"
            )
        time.sleep(0.02)
    here.say("the server has ended")
