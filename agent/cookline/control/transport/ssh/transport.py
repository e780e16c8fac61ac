"""Connects to the last hop of a target's route."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cookline.control.transport.base import Connection, Target
from cookline.control.transport.ssh.connection import SshConnection
from cookline.control.transport.ssh.handshake import Dropped, load_paramiko, log_in
from cookline.control.transport.ssh.jumps import SharedJumps
from cookline.control.transport.ssh.quick_socket import open_socket
from cookline.control.transport.ssh.route import Hop, route
from cookline.errors import Unreachable

if TYPE_CHECKING:
    import paramiko

# sshd's MaxStartups (10:30:100) drops logins at random while many are under way.
DROPPED_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 3.0, 4.0)


class SshTransport:
    """Connections by paramiko. Hosts behind the same jump host share one login there."""

    name = "ssh"

    def __init__(self) -> None:
        self.jumps: SharedJumps[paramiko.Transport] = SharedJumps(self._reach)

    def connect(self, target: Target) -> Connection:
        hops = route(target)
        transport = self._reach(hops)
        return SshConnection(replace(target, user=hops[-1].user, port=hops[-1].port), transport, self, tuple(hops[:-1]))

    def _reach(self, hops: Sequence[Hop]) -> paramiko.Transport:
        """Log in on the last hop by way of the others. A login that sshd dropped is tried again."""
        for pause in (*DROPPED_PAUSES_SECONDS, None):
            try:
                with self.open_way(hops) as way:
                    return log_in(hops[-1], way)
            except Dropped:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last pause is None")

    @contextlib.contextmanager
    def open_way(self, hops: Sequence[Hop]) -> Iterator[Any]:
        """What carries a session with the last hop. When the body raises, the jump host is let go again."""
        before = tuple(hops[:-1])
        jump = self.jumps.acquire(before) if before else None
        try:
            yield _way(hops[-1], jump)
        except BaseException:
            self.jumps.release(before)
            raise


def _way(hop: Hop, before: paramiko.Transport | None) -> Any:
    """What carries the SSH session: a socket, a channel of the hop before, or a ProxyCommand."""
    if before is not None:
        import paramiko

        try:
            return before.open_channel("direct-tcpip", (hop.address, hop.port), ("127.0.0.1", 0), timeout=hop.timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = getattr(error, "text", "") or error
            raise Unreachable(
                f"the jump host cannot reach {hop.label} ({hop.place}): {reason}",
                hint="is it up, and may the jump host forward?",
            ) from None
    if hop.proxy_command:
        load_paramiko()
        from paramiko import ProxyCommand

        return ProxyCommand(hop.proxy_command)
    return open_socket(hop)  # before paramiko is imported: the server starts its session meanwhile
