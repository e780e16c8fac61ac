"""cookline kitchen init and diagnose: a suite to start from; what a kitchen.yml comes to, and what the machine lacks."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from cookline.cli import starter
from cookline.cli.init import write
from cookline.cli.options import AsJson
from cookline.cli.session import session
from cookline.errors import UsageError


def init(
    cookbook: Annotated[str, typer.Argument(help="Its name; without it the cookbook that this folder is.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a kitchen.yml and a first test for a cookbook, and the cookbook itself where there is none. No file is touched.

    Example: cookline kitchen init web
    """
    from cookline.control.stack.values import NAME

    here = session()
    if cookbook and not NAME.fullmatch(cookbook):
        raise UsageError(f"{cookbook!r} cannot be the name of a cookbook", hint="use letters, digits, '-' and '_'")
    if not cookbook and not (here.cwd / "recipes").is_dir():
        raise UsageError("this folder is no cookbook: it has no recipes/", hint="cookline kitchen init COOKBOOK")
    folder = here.cwd / "cookbooks" / cookbook if cookbook else here.cwd
    new = not (folder / "recipes").is_dir()
    wanted = starter.suite_files(folder.name, new=new)
    if new:
        wanted = {**starter.cookbook_files(folder.name), **wanted}
    written = [path for path, text in wanted.items() if write(folder / path, text)]
    if as_json:
        here.json({"directory": str(folder), "files": written})
        return
    for path in written:
        here.say(os.path.relpath(folder / path, here.cwd))
    here.say(f"now: cookline kitchen test {folder.name}" if written else f"{folder.name} has all of it already")


def diagnose(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Hosts: a name, a part of one, or a pattern (nginx-*); all without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what kitchen.yml comes to for each host, and what this machine lacks for containers.

    Example: cookline kitchen diagnose nginx-debian-12
    """
    from cookline.kitchen.cases import find_files, load_cases, select
    from cookline.kitchen.diagnosis import case_as_data, machine_as_data

    here = session()
    cases = load_cases(here.cwd) if find_files(here.cwd) else []
    wanted = select([case.name for case in cases], patterns or [])
    told = {
        "machine": machine_as_data(),
        "hosts": {case.name: case_as_data(case) for case in cases if case.name in wanted},
    }
    here.json(told) if as_json else here.say(_text(told))


def _text(value: object, indent: str = "") -> str:
    """Nested mappings as indented lines; what is empty is left out."""
    assert isinstance(value, dict)
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{indent}{key}:", _text(item, indent + "  ")]
        elif item not in ({}, [], None, ""):
            lines.append(f"{indent}{key}: {', '.join(map(str, item)) if isinstance(item, list) else item}")
    return "\n".join(lines)
