"""Looks at a host by testinfra, as cases write it: {file: /etc/motd, mode: "0644", user: root}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testinfra.backend.paramiko import ParamikoBackend
from testinfra.host import Host

from tests.lab.hosts import LabHost


def look(host: LabHost, expectations: Sequence[dict[str, Any]]) -> None:
    """AssertionError names what was seen instead. All looks share one connection: a login costs more than what it looks at."""
    config = host.ssh_config.with_name("ssh_config_of_looks")
    # testinfra does not read UserKnownHostsFile; the last section of the file is that of all hosts
    config.write_text(host.ssh_config.read_text() + "  StrictHostKeyChecking no\n")
    backend = ParamikoBackend(host.name, ssh_config=str(config))
    try:
        for expectation in expectations:
            _look(Host(backend), expectation)
    finally:
        backend.client.close()


def _look(eyes: Host, expectation: dict[str, Any]) -> None:
    """The first key is testinfra's module, `command` runs one; the others are what it must answer."""
    (module, argument), *attributes = expectation.items()
    seen = eyes.run(argument) if module == "command" else getattr(eyes, module)(argument)
    for name, expected in attributes:
        value = _value(seen, name)
        assert value == expected, f"{module} {argument}: {name} is {value!r}, not {expected!r}"


def _value(seen: Any, name: str) -> Any:
    value = getattr(seen, "content_string" if name == "content" else name)
    value = value() if callable(value) else value
    if name == "mode":
        return f"{value:04o}"
    return value.strip() if name in ("stdout", "stderr") else value
