"""The sink on a port of its own, under uvicorn; what tests and single-purpose servers use."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cookline.cloudwatch.app import create_app
from cookline.cloudwatch.sigv4 import Credentials
from cookline.cloudwatch.store import MetricStore

if TYPE_CHECKING:
    import uvicorn


def _server(
    store: MetricStore, credentials: Credentials, certificate: str | Path | None, key: str | Path | None
) -> uvicorn.Server:
    import uvicorn

    config = uvicorn.Config(
        create_app(store, credentials),
        # the application dates its answers itself, by the clock that it checks signatures with
        date_header=False,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="off",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def _listening(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # asyncio sets TCP_NODELAY on accepted sockets only when the protocol is named; without it answers wait 40 ms for an ACK
    listening = socket.socket(family, kind, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


def serve(
    path: str | Path,
    credentials: Credentials,
    host: str = "127.0.0.1",
    port: int = 4582,
    *,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
) -> None:
    """Serve the metric store at `path` until SIGINT or SIGTERM; with a certificate (PEM files) over TLS."""
    with contextlib.closing(MetricStore(path)) as store, _listening(host, port) as listening:
        _server(store, credentials, certificate, key).run(sockets=[listening])


@contextlib.contextmanager
def running(
    store: MetricStore,
    credentials: Credentials,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
) -> Iterator[str]:
    """Serve `store` from a thread; gives the endpoint's URL. Port 0 is a free one. Early requests wait in the socket."""
    server = _server(store, credentials, certificate, key)
    with _listening(host, port) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="sink", daemon=True)
        thread.start()
        try:
            yield f"{'https' if certificate else 'http'}://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
