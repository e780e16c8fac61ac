"""Options that many commands share, with one wording each."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cookline.cli import completion
from cookline.errors import UsageError

Stack = Annotated[str, typer.Argument(help="Name of a pushed stack.", autocompletion=completion.stacks)]
Instances = Annotated[list[str], typer.Argument(help="Names of instances.", autocompletion=completion.instances)]
RunId = Annotated[str, typer.Argument(help="Id of a command or run, or its first characters.", autocompletion=completion.runs)]
On = Annotated[str | None, typer.Option("--on", help="Instances: app1, layer:app, state:online, fact:os.codename=bookworm.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Comment = Annotated[str, typer.Option("--comment", help="Kept with the command: why it was given.")]
Attribute = Annotated[
    list[str] | None, typer.Option("--attribute", "-a", help="For this command alone: shop.port=8081 (a JSON value or text).")
]
RevisionNumber = Annotated[int | None, typer.Option("--revision", help="A revision of the stack; the newest without.")]
LockWait = Annotated[float, typer.Option("--wait", help="Seconds to wait for a host that another run has locked.")]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds until a host stops starting resources.")]
TakeOver = Annotated[bool, typer.Option("--take-over", help="Manage hosts that another .cookline directory has managed.")]
AppName = Annotated[list[str] | None, typer.Option("--app", help="Name of an app; all apps of the stack without.")]


def attributes_of(assignments: list[str] | None) -> dict[str, Any]:
    """{"shop": {"port": 8081}} of ["shop.port=8081"]. Raises UsageError."""
    result: dict[str, Any] = {}
    for assignment in assignments or []:
        path, separator, text = assignment.partition("=")
        if not separator or not all(path.split(".")):
            raise UsageError(f"--attribute {assignment!r} is not of the form path.to.it=value")
        try:
            value: Any = json.loads(text)
        except ValueError:
            value = text
        place = result
        *groups, name = path.split(".")
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise UsageError(f"--attribute {assignment!r}: {group!r} has a value already")
        place[name] = value
    return result
