"""The seam between the controller and a host: one connection, one channel per command.

Three transports: ssh (paramiko), local (this machine, for tests of the host wing and for `provider: local`), dummy (knobs to
fail, to be slow, to cut). `conversation.py` speaks the protocol over any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cookline.errors import Unreachable


class LinkLost(Unreachable):
    """The way to the host broke after it had been open; what runs on the host may go on."""


@dataclass(frozen=True)
class Target:
    """How a host is reached.

    address          name or IP address; `port` and `user` None mean: what ~/.ssh/config says, else 22 and root
    become           True: `sudo -n` when the user is not root; False: never
    python           the interpreter on the host
    identity_file    private key; None means the SSH agent, ~/.ssh/config and the default keys
    ssh_config       path of the ssh_config that is honoured; None is ~/.ssh/config
    known_hosts      files with pinned keys, the first is written by `cookline trust`
    connect_timeout  seconds for TCP, banner and authentication each
    bootstrap        "apt" installs python3 when the host has none; None leaves hosts as they are
    transport        "ssh", "local" or "dummy"
    options          settings of one transport (the dummy's knobs)
    """

    instance: str
    address: str
    port: int | None = None
    user: str | None = None
    become: bool = True
    python: str = "python3"
    identity_file: str | None = None
    ssh_config: str | None = None
    known_hosts: tuple[str, ...] = ()
    connect_timeout: float = 10.0
    bootstrap: str | None = None
    transport: str = "ssh"
    options: Mapping[str, Any] = field(default_factory=dict)


class Channel(Protocol):
    """One command that runs on the host, with its three streams."""

    def send(self, data: bytes) -> None:
        """Write to the command's standard input. Raises LinkLost; BrokenPipeError when the command has ended."""

    def readline(self, timeout: float | None = None) -> bytes:
        """One line with its newline, b"" at the end of the stream. Raises LinkLost; TimeoutError after `timeout` seconds;
        HostileOutput for a line over the protocol's limit."""

    def is_open(self) -> bool:
        """False once the command has ended or the link is known to be broken."""

    def close_input(self) -> None: ...

    def exit_status(self, timeout: float = 10.0) -> int:
        """The command's exit status, -1 when the host did not say."""

    def errors(self) -> str:
        """What the command wrote to standard error, the last 64 KB."""

    def close(self) -> None: ...


class Connection(Protocol):
    """An open way to one host; several channels may run on it (over the server's MaxSessions it opens a second way).

    `target` is the one asked for with user and port filled in.
    """

    @property
    def target(self) -> Target: ...

    def execute(self, command: str) -> Channel:
        """Start `command` through the host's login shell. Raises LinkLost."""

    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Transport(Protocol):
    name: str

    def connect(self, target: Target) -> Connection:
        """Raises Unreachable (HostKeyError, AuthenticationError) with the address, the reason and the next step."""
