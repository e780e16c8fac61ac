"""Looks at a host by testinfra, as cases write it: {file: /etc/motd, mode: "0644", user: root}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paramiko
from testinfra.backend.paramiko import ParamikoBackend
from testinfra.host import Host

from cookline.control.transport.ssh.connection import SshConnection


class Eyes:
    """testinfra, and shell commands, over a connection that is open already: a login costs more than what it looks at."""

    def __init__(self, connection: SshConnection) -> None:
        backend = ParamikoBackend("host")
        backend.client = paramiko.SSHClient()
        backend.client._transport = connection._transport
        self._host = Host(backend)

    def do(self, command: str) -> None:
        """Run a shell command that must end well."""
        done = self._host.run(command)
        assert done.rc == 0, f"{command!r} ended with {done.rc}\n{done.stdout}\n{done.stderr}"

    def look(self, expectations: Sequence[dict[str, Any]]) -> None:
        """AssertionError names what was seen instead."""
        for expectation in expectations:
            self._look(expectation)

    def _look(self, expectation: dict[str, Any]) -> None:
        """The first key is testinfra's module, `command` runs one; the others are what it must answer."""
        (module, argument), *attributes = expectation.items()
        seen = self._host.run(argument) if module == "command" else getattr(self._host, module)(argument)
        for name, expected in attributes:
            value = _value(seen, name)
            assert value == expected, f"{module} {argument}: {name} is {value!r}, not {expected!r}"


def _value(seen: Any, name: str) -> Any:
    value = getattr(seen, "content_string" if name == "content" else name)
    value = value() if callable(value) else value
    if name == "mode":
        return f"{value:04o}"
    return value.strip() if name in ("stdout", "stderr") else value
