"""What is wrong with a file, told with the line that it stands on; many problems make one StackError."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cookline.errors import StackError

# Longer lines are cut around the caret: a minified file must not fill the terminal.
EXCERPT_WIDTH = 120
# After this many the first ones have been understood; the rest is counted.
MOST_PROBLEMS = 50


# The way to a value in a document: keys and indexes.
Where = tuple[str | int, ...]


class Mark(NamedTuple):
    """Line and column of a value, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Position:
    """Where something stands: file as shown to people, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    position: Position
    sentence: str
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.position}: {self.sentence}\n{self.excerpt}" if self.excerpt else f"{self.position}: {self.sentence}"


def excerpt(lines: Sequence[str], line: int, column: int) -> str:
    """The line with its number, and a caret under the column; control characters are shown as dots."""
    if not 1 <= line <= len(lines):
        return ""
    text, start = lines[line - 1], 0
    if len(text) > EXCERPT_WIDTH:
        start = max(0, min(column - EXCERPT_WIDTH // 2, len(text) - EXCERPT_WIDTH))
        text = text[start : start + EXCERPT_WIDTH]
    shown = "".join("→" if char == "\t" else char if char.isprintable() else "·" for char in text)
    gutter = f"{line:>6} | "
    return f"{gutter}{shown.rstrip()}\n{' ' * (len(gutter) - 2)}| {' ' * max(0, column - 1 - start)}^"


def raise_problems(problems: Iterable[Problem], *, hint: str | None = None) -> None:
    """Raise one StackError with all `problems`, by file and line; return when there are none."""
    ordered = sorted(dict.fromkeys(problems), key=lambda p: (p.position.file, p.position.line, p.position.column, p.sentence))
    if not ordered:
        return
    told = [str(problem) for problem in ordered[:MOST_PROBLEMS]]
    if len(ordered) > MOST_PROBLEMS:
        told.append(f"and {len(ordered) - MOST_PROBLEMS} more")
    raise StackError(told, hint=hint)


def shown(path: Path) -> str:
    """The shorter of a path and its way from the working directory."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):  # the working directory is gone
        return str(path)
    return min(relative, str(path), key=len)
