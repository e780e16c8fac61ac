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
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cookline.cli.remote import LOOPBACK
from cookline.cli.session import Session, session
from cookline.cli.thin import SOCKET
from cookline.errors import CooklineError, UsageError

if TYPE_CHECKING:
    from cookline.cli.serving import LineRunner
    from cookline.control.server.listener import Listener

# Launching the engine takes about a second on a slow machine.
START_SECONDS = 30.0


def server(
    detach: Annotated[bool, typer.Option("--detach", help="Go to the background when it is ready.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the server of this directory.")] = False,
    port: Annotated[int, typer.Option("--port", help="Of the metric sink, on 127.0.0.1; 0 takes a free one.")] = -1,
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT of the network API; without it there is none.")] = "",
    certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file, for --listen.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file, for --listen.")] = None,
) -> None:
    """Run the server of this directory: commands go through it, agents are collected from once a minute, and CloudWatch
    clients read their metrics at its sink.

    Example: cookline server --detach; cookline status shop; cookline server --stop
    """
    here = session()
    socket_path = here.directory / SOCKET
    settings = Settings(port, listen, certificate, key)
    settings.check()
    if stop:
        _stop(here, socket_path)
    elif detach:
        _detach(here, socket_path, settings)
    else:
        _serve(here, socket_path, settings)


@dataclass(frozen=True)
class Settings:
    """What the server listens on besides its Unix socket."""

    port: int
    listen: str
    certificate: Path | None
    key: Path | None

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host, int(port)

    def check(self) -> None:
        """Raises UsageError. Tokens do not cross a network in clear."""
        if not self.listen:
            return
        host, separator, port = self.listen.rpartition(":")
        if not separator or not host or not port.isdigit():
            raise UsageError(f"--listen {self.listen!r} is not HOST:PORT")
        if bool(self.certificate) != bool(self.key):
            raise UsageError("--tls-certificate and --tls-key go together")
        if host not in LOOPBACK and not self.certificate:
            raise UsageError(
                f"--listen {self.listen} without TLS would take tokens in clear", hint="give --tls-certificate and --tls-key"
            )

    def arguments(self) -> list[str]:
        words = ["--port", str(self.port)]
        for option, value in (("--listen", self.listen), ("--tls-certificate", self.certificate), ("--tls-key", self.key)):
            words += [option, str(value)] if value else []
        return words


def _serve(here: Session, socket_path: Path, settings: Settings) -> None:
    from cookline.cli.serving import CommandSocket, LineRunner
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.lifecycle.timers.averages import StoredAverages
    from cookline.control.lifecycle.timers.tick import Tick
    from cookline.control.server.collector import Collector
    from cookline.control.server.sink import DEFAULT_PORT, Sink
    from cookline.control.server.ticker import Ticker
    from cookline.control.transport.pool import Pool

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        # sessions kept ready on the hosts: a run begins 50 ms sooner
        dispatcher = stack.enter_context(Dispatcher(here.store, name="cookline server", pool=Pool(warm=True)))
        sink = stack.enter_context(closing(Sink(here.directory, port=DEFAULT_PORT if settings.port < 0 else settings.port)))
        dispatcher.sink = sink.put
        tick = Tick(dispatcher, averages=StoredAverages(sink.store), log=here.warn)
        collector = stack.enter_context(closing(Collector(dispatcher, sink.put, here.warn, tick)))
        ticker = stack.enter_context(closing(Ticker(tick)))
        # what another one left goes on beside whatever comes next: a long run keeps nobody from asking
        dispatcher.engine(settle=False)
        runner = LineRunner(dispatcher)
        if settings.listen:
            stack.enter_context(closing(_network(settings, runner, here)))
        # the last to come: whoever waits for the server waits for this socket
        stack.enter_context(closing(CommandSocket(socket_path, runner, ended.set)))
        collector.start()
        ticker.start()
        here.say(f"commands at {socket_path}, metrics at {sink.access.endpoint} (keys in {here.directory / 'sink.json'})")
        ended.wait()


def _network(settings: Settings, runner: LineRunner, here: Session) -> Listener:
    from cookline.control.server.api import create_api
    from cookline.control.server.listener import Listener

    host, port = settings.address
    api = create_api(runner.dispatcher, runner.messages)
    listener = Listener(api, host, port, what="the network API", certificate=settings.certificate, key=settings.key)
    scheme = "https" if settings.certificate else "http"
    address = f"{scheme}://{listener.address}"
    (here.directory / "api.json").write_text(json.dumps({"address": address}))
    here.say(f"network API at {address}; `cookline token create NAME` lets somebody in")
    return listener


def _detach(here: Session, socket_path: Path, settings: Settings) -> None:
    from cookline.cli.serving import answers

    if answers(socket_path):
        raise CooklineError(f"a server runs already in {here.directory}", hint="cookline server --stop ends it")
    here.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_path = here.directory / "server.log"
    command = [sys.executable, "-m", "cookline.cli", "server", *settings.arguments()]
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
