"""Which line of an author's cookbook is running: errors and reports show that, never a frame of ours."""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType, TracebackType
from typing import Dict, List, Optional, Tuple

# tree directory -> what its author calls it ("cookbooks/nginx"); filled when cookbooks are loaded
_trees: Dict[str, str] = {}


def register(directory: str, name: str) -> None:
    _trees[directory.rstrip("/") + "/"] = name


def authored(filename: str) -> Optional[str]:
    """ "cookbooks/nginx/recipes/setup.py" for a file of a registered tree, else None."""
    for directory, name in _trees.items():
        if filename.startswith(directory):
            return f"{name}/{filename[len(directory) :]}"
    return None


def author_frame(depth: int = 1) -> Optional[Tuple[str, int]]:
    """The innermost author's (file, line) on the stack."""
    frame: Optional[FrameType] = sys._getframe(depth)
    while frame is not None:
        name = authored(frame.f_code.co_filename)
        if name is not None:
            return name, frame.f_lineno
        frame = frame.f_back
    return None


def author_line() -> Optional[str]:
    """ "cookbooks/nginx/recipes/setup.py:5" """
    found = author_frame(2)
    return f"{found[0]}:{found[1]}" if found else None


def excerpt(filename: str, line: int, context: int = 2) -> str:
    """The author's line with two lines around it, numbered, the line itself marked."""
    lines = []
    for number in range(max(1, line - context), line + context + 1):
        text = linecache.getline(filename, number).rstrip("\n")
        if text or number == line:
            lines.append(f"{'>' if number == line else ' '} {number:4d} {text}")
    return "\n".join(lines)


def where_raised(traceback: Optional[TracebackType]) -> Optional[Tuple[str, str]]:
    """("cookbooks/..:7", excerpt) of the innermost author's frame of an exception."""
    found: Optional[Tuple[str, str]] = None
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        name = authored(filename)
        if name is not None:
            found = f"{name}:{traceback.tb_lineno}", excerpt(filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def describe(error: BaseException) -> str:
    """What an author is told of an exception: its sentence, their own line, and nothing of ours."""
    from cookline.errors import CooklineError

    text = str(error) if isinstance(error, CooklineError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        name = authored(error.filename) or os.path.basename(error.filename)
        return f"{name}:{error.lineno}: {error.msg}\n{(error.text or '').rstrip()}"
    found = where_raised(error.__traceback__)
    parts: List[str] = [text]
    if found:
        parts += [f"at {found[0]}", found[1]]
    return "\n".join(parts)
