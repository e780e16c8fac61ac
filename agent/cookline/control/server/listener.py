"""Serves an ASGI application on a socket of this machine, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

from cookline.errors import CooklineError, UsageError

START_SECONDS = 10.0


class Listener:
    """Listens from the constructor on; `address` is "HOST:PORT" with the port that was taken. Raises CooklineError."""

    def __init__(
        self, application: Any, host: str, port: int, *, what: str, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        import uvicorn

        self._socket = _listen(host, port, what)
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        for path in (certificate, key):
            if path is not None and not path.is_file():
                raise UsageError(f"there is no file {path} for TLS")
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            date_header=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            ssl_certfile=str(certificate) if certificate else None,
            ssl_keyfile=str(key) if key else None,
        )
        self._server = uvicorn.Server(config)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()
        if not self._started.wait(START_SECONDS) or not self._server.started:
            raise CooklineError(f"{what} at {self.address} did not start")

    def _run(self) -> None:
        async def serve() -> None:
            task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            while not self._server.started and not task.done():
                await asyncio.sleep(0.005)
            self._started.set()
            await task

        try:
            asyncio.run(serve())
        finally:
            self._started.set()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()


def _listen(host: str, port: int, what: str) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it answers wait 40 ms for an acknowledgement
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CooklineError(
            f"{what} cannot listen on {host}:{port}: {error.strerror}", hint="port 0 takes a free one"
        ) from None
    listening.listen(128)
    return listening
