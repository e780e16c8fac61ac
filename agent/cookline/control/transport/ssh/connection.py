"""An open connection: commands on it, a second login when the server has no more sessions to give, signs of life."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from cookline.control.transport.base import Connection, LinkLost, Target
from cookline.control.transport.ssh.channel import SshChannel
from cookline.control.transport.ssh.route import Hop

if TYPE_CHECKING:
    import paramiko

    from cookline.control.transport.ssh.jumps import SharedJumps

# A host that has said nothing for so long is asked whether it is there, and has so long to answer.
SILENCE_SECONDS, ANSWER_SECONDS = 30.0, 15.0


class Opener(Protocol):
    """What made a connection: makes the second login, and is told when a jump host is needed no more."""

    jumps: SharedJumps[paramiko.Transport]

    def connect(self, target: Target) -> Connection: ...


class SshConnection:
    """An authenticated session that goes through the hops `before`."""

    def __init__(self, target: Target, transport: paramiko.Transport, opener: Opener, before: tuple[Hop, ...] = ()) -> None:
        self.target = target
        self._transport = transport
        self._opener = opener
        self._before = before
        self._closed = False
        self._spare: Connection | None = None
        self._lock = threading.Lock()

    def execute(self, command: str) -> SshChannel:
        import paramiko

        try:
            channel = self._transport.open_session(timeout=self.target.connect_timeout)
        except paramiko.ChannelException:
            return self._spare_connection().execute(command)  # type: ignore[return-value]
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(error) from None
        try:
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            channel.close()
            raise self._lost(error) from None
        return SshChannel(channel, self.target, self.check_silence, SILENCE_SECONDS)

    def _lost(self, error: Exception) -> LinkLost:
        return LinkLost(
            f"the connection to {self.target.instance} ({self.target.address}) broke: {error or type(error).__name__}"
        )

    def _spare_connection(self) -> Connection:
        """A second login, for when the server's MaxSessions is used up."""
        with self._lock:
            if self._spare is None or not self._spare.alive():
                self._spare = self._opener.connect(self.target)
            return self._spare

    def check_silence(self) -> bool:
        """Ask sshd for a sign of life: a frozen host keeps TCP up. Closes the connection and returns False without one."""
        answered = threading.Event()

        def ask() -> None:
            self._transport.global_request("keepalive@openssh.com", wait=True)
            answered.set()

        threading.Thread(target=ask, name="keepalive", daemon=True).start()
        if answered.wait(ANSWER_SECONDS) and self._transport.is_active():
            return True
        self.close()
        return False

    def alive(self) -> bool:
        return not self._closed and self._transport.is_active()

    def close(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        if self._spare is not None:
            self._spare.close()
        self._transport.close()
        self._opener.jumps.release(self._before)
