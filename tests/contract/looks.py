"""Looks at a host by testinfra, as cases write it: {file: /etc/motd, mode: "0644", user: root}."""

from __future__ import annotations

from typing import Any

from tests.lab.hosts import LabHost


def look(host: LabHost, expectation: dict[str, Any]) -> None:
    """AssertionError names what was seen instead. The first key is testinfra's module, `command` runs one."""
    (module, argument), *attributes = expectation.items()
    seen = host.testinfra.run(argument) if module == "command" else getattr(host.testinfra, module)(argument)
    for name, expected in attributes:
        value = _value(seen, name)
        assert value == expected, f"{module} {argument}: {name} is {value!r}, not {expected!r}"


def _value(seen: Any, name: str) -> Any:
    value = getattr(seen, "content_string" if name == "content" else name)
    value = value() if callable(value) else value
    if name == "mode":
        return f"{value:04o}"
    return value.strip() if name in ("stdout", "stderr") else value
