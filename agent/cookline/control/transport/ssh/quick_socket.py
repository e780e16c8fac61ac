"""The TCP connection to an SSH server: quick, and quick to notice that nobody is there."""

from __future__ import annotations

import errno
import socket
from typing import Any

from cookline.control.transport.ssh.route import Hop
from cookline.errors import Unreachable

# The kernel gives a silent peer up after 5 + 3 x 5 s, and unanswered data after 20 s.
TCP_IDLE_SECONDS, TCP_INTERVAL_SECONDS, TCP_PROBES = 5, 5, 3
TCP_UNANSWERED_MILLISECONDS = 20_000


class QuickSocket(socket.socket):
    """Acknowledges at once: sshd's Nagle waits for our delayed acknowledgement otherwise (57 ms instead of 12 for an exec).

    The kernel forgets TCP_QUICKACK, so it is set again after each read.
    """

    def recv(self, *arguments: Any) -> bytes:
        data = super().recv(*arguments)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def open_socket(hop: Hop) -> socket.socket:
    try:
        plain = socket.create_connection((hop.address, hop.port), timeout=hop.timeout)
    except OSError as error:
        raise unreachable(hop, error) from None
    quick = QuickSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    tcp = socket.IPPROTO_TCP
    for level, option, value in (
        (tcp, socket.TCP_NODELAY, 1),
        (tcp, socket.TCP_QUICKACK, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (tcp, socket.TCP_KEEPIDLE, TCP_IDLE_SECONDS),
        (tcp, socket.TCP_KEEPINTVL, TCP_INTERVAL_SECONDS),
        (tcp, socket.TCP_KEEPCNT, TCP_PROBES),
        (tcp, socket.TCP_USER_TIMEOUT, TCP_UNANSWERED_MILLISECONDS),
    ):
        quick.setsockopt(level, option, value)
    return quick


def unreachable(hop: Hop, error: Exception) -> Unreachable:
    """The error sorted by what mends it."""
    where = f"{hop.label} ({hop.place})"
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror):
        return Unreachable(f"{where}: the name {hop.address!r} is unknown", hint="correct the address, or the DNS")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"{where} refuses connections", hint=f"is sshd running, and on port {hop.port}?")
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return Unreachable(f"{where} did not answer within {hop.timeout:g} s", hint="is the host up, and its firewall open?")
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Unreachable(f"no route to {where}", hint="look at the network between here and the host")
    return Unreachable(f"{where}: {error or type(error).__name__}", hint=f"try: ssh -v -p {hop.port} {hop.user}@{hop.address}")
