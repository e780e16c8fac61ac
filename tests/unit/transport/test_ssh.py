"""Ports that answer, but not as an SSH server should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cookline.control.transport.base import Target
from cookline.control.transport.ssh import transport
from cookline.control.transport.ssh.transport import SshTransport
from cookline.errors import Unreachable


@contextmanager
def server(*, says: bytes = b"", closes: bool = True) -> Iterator[int]:
    """Accepts on a loopback port, says something and, perhaps, closes; gives the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            accepted.append(connection)
            connection.sendall(says)
            if closes:
                connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for connection in accepted:
            connection.close()


def connect(port: int, timeout: float = 5.0) -> None:
    SshTransport().connect(Target("web1", "127.0.0.1", port=port, user="root", ssh_config="none", connect_timeout=timeout))


def test_a_port_that_closes_at_once_is_tried_again_and_then_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transport, "DROPPED_PAUSES_SECONDS", (0.0, 0.0))
    with server() as port, pytest.raises(Unreachable, match="closed the connection before the login"):
        connect(port)
    assert capfd.readouterr() == ("", ""), "nobody but our own error speaks"


def test_a_port_that_says_nothing_is_not_waited_for_longer_than_said() -> None:
    with server(closes=False) as port, pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
        connect(port, timeout=0.3)


def test_a_port_of_another_kind_of_server_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(transport, "DROPPED_PAUSES_SECONDS", ())
    with server(says=b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        connect(port)
    assert capfd.readouterr() == ("", "")


def test_a_port_that_nobody_listens_on_says_refused() -> None:
    with server() as port:
        pass
    with pytest.raises(Unreachable, match=f":{port}\\) refuses connections"):
        connect(port)
