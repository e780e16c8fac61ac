"""cookline init: a project to start from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from cookline.cli import starter
from cookline.cli.session import session
from cookline.errors import CooklineError, UsageError


def init(
    directory: Annotated[Path, typer.Argument(help="Where the project is made; made itself when it is not there.")] = Path("."),
    name: Annotated[str, typer.Option("--name", help="Name of the stack; the directory's name without it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Write a commented stack and a cookbook to start from. No file that exists is touched.

    Example: cookline init shop
    """
    here = session()
    root = here.cwd / directory
    stack = name or _name_of(root)
    wanted = starter.files(stack)
    there = [path for path in wanted if (root / path).exists() and path != ".gitignore"]
    if there:
        raise UsageError(
            f"{root} has {', '.join(there)} already", hint="`cookline init NEW-DIRECTORY` makes a project elsewhere"
        )
    written = [path for path, text in wanted.items() if write(root / path, text)]
    if as_json:
        here.json({"directory": str(root), "stack": stack, "files": written})
        return
    for path in written:
        here.say(os.path.normpath(directory / path))
    enter = "" if directory == Path(".") else f"cd {directory} && "
    here.say(f"now: {enter}cookline push stacks/{stack}.yml")


def _name_of(root: Path) -> str:
    """The directory's name as a stack's: what cannot stand in one becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", root.resolve().name).strip("-.") or "stack"


def write(path: Path, text: str) -> bool:
    """Whether it was written; a file that is there stays as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise CooklineError(f"{path} cannot be written: {error.strerror}") from None
    return True
