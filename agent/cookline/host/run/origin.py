"""Which line of an author's cookbook is running: errors and reports show that, never a frame of ours."""

from __future__ import annotations

import os
import sys
from types import FrameType, TracebackType
from typing import Dict, Mapping, NamedTuple, Optional

# tree directory -> what its author calls it ("cookbooks/nginx"); filled when cookbooks are loaded
_trees: Dict[str, str] = {}
_authored: Dict[str, Optional[str]] = {}
# True with --debug: errors come with every frame, ours too.
frames = False


def register(directory: str, name: str) -> None:
    _trees[directory.rstrip("/") + "/"] = name
    _authored.clear()


def authored(filename: str) -> Optional[str]:
    """ "cookbooks/nginx/recipes/setup.py" for a file of a registered tree, else None."""
    if filename not in _authored:
        found = ((directory, name) for directory, name in _trees.items() if filename.startswith(directory))
        directory, name = next(found, ("", ""))
        _authored[filename] = f"{name}/{filename[len(directory) :]}" if name else None
    return _authored[filename]


class Place(NamedTuple):
    """A line of an author's file; `filename` is where it lies on this host."""

    name: str
    line: int
    filename: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}"


def author_place(depth: int = 1) -> Optional[Place]:
    """The innermost author's line on the stack."""
    frame: Optional[FrameType] = sys._getframe(depth)
    while frame is not None:
        name = authored(frame.f_code.co_filename)
        if name is not None:
            return Place(name, frame.f_lineno, frame.f_code.co_filename)
        frame = frame.f_back
    return None


def excerpt(filename: str, line: int, context: int = 2) -> str:
    """The author's line with two lines around it, numbered, the line itself marked."""
    import linecache

    lines = []
    for number in range(max(1, line - context), line + context + 1):
        text = linecache.getline(filename, number).rstrip("\n")
        if text or number == line:
            lines.append(f"{'>' if number == line else ' '} {number:4d} {text}")
    return "\n".join(lines)


def place_raised(traceback: Optional[TracebackType]) -> Optional[Place]:
    """The innermost author's line of an exception."""
    found: Optional[Place] = None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        name = authored(filename)
        if name is not None:
            found = Place(name, traceback.tb_lineno, filename)
        traceback = traceback.tb_next
    return found


def _said(error: BaseException) -> str:
    """The type and sentence of an exception that is Python's own, and the nearest right name of one that is not there."""
    from cookline.errors import did_you_mean

    text = f"{type(error).__name__}: {error}"
    public: Mapping[str, str] = getattr(sys.modules.get("cookline"), "EXPORTS", {})
    if isinstance(error, ModuleNotFoundError):
        package, _, cookbook = str(error.name).partition(".")
        if package == "cookbooks" and cookbook:
            name = cookbook.split(".")[0]
            return f"{text}\n  a cookbook that uses {name!r} says `depends: [{name}]` in its cookbook.yml"
        return f"{text}\n  recipes run with the host's own Python: its standard library, and what packages of the system bring"
    if isinstance(error, ImportError) and error.name == "cookline":
        wanted = str(error).split("'")[1]
        return f"ImportError: cookline has no {wanted!r}{did_you_mean(wanted, public)}"
    if isinstance(error, NameError):
        wanted = str(error).split("'")[1] if "'" in str(error) else ""
        if wanted in public:
            return f"{text}\n  write `from cookline import {wanted}` at the top"
        return text + did_you_mean(wanted, public)
    if isinstance(error, AttributeError):  # Python 3.9 does not say whose attribute it was
        owner, wanted = getattr(error, "obj", None), str(getattr(error, "name", ""))
        known = [] if owner is None else [name for name in dir(owner) if not name.startswith("_")]
        return text + did_you_mean(wanted, known)
    return text


def describe(error: BaseException, called_at: Optional[Place] = None) -> str:
    """What an author is told of an exception: its sentence and their own lines, nothing of ours unless `frames`.

    `called_at` is the line of the recipe that declared the resource, for errors that no author's code raised.
    """
    text = _described(error, called_at)
    if not frames:
        return text
    import traceback

    return text + "\n" + "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()


def _described(error: BaseException, called_at: Optional[Place]) -> str:
    from cookline.errors import CooklineError

    if isinstance(error, SyntaxError) and error.filename:
        name = authored(error.filename) or os.path.basename(error.filename)
        return f"{name}:{error.lineno}: {error.msg}\n{(error.text or '').rstrip()}"
    text = str(error) if isinstance(error, CooklineError) else _said(error)
    place = place_raised(error.__traceback__) or called_at
    return f"{text}\nat {place}\n{excerpt(place.filename, place.line)}" if place else text
