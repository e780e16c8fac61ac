"""A parsed file: plain data that remembers where each value and key stands, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from cookline.control.stack.problems import Mark, Position, Problem, Where, excerpt

# What YAML counts as the end of a line.
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


@dataclass
class Document:
    """A parsed file. `marks` has each value's place by its path in the data, `key_marks` each key's."""

    file: str
    lines: list[str]
    data: Any = None
    marks: dict[Where, Mark] = field(default_factory=dict)
    key_marks: dict[Where, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    excerpts: bool = True
    text: str = ""

    def position(self, where: Where, *, key: bool = False) -> Position:
        """The place of the value at `where` (of its key), or of the nearest mapping or list around it."""
        if key and where in self.key_marks:
            return Position(self.file, *self.key_marks[where])
        while where and where not in self.marks:
            where = where[:-1]
        return Position(self.file, *self.marks.get(where, Mark(1, 1)))

    def mark_of(self, offset: int) -> Mark:
        """The place of a character of the text, counted from 0."""
        before = LINE_BREAK.split(self.text[:offset])
        return Mark(len(before), len(before[-1]) + 1)

    def problem(self, where: Where, sentence: str, *, key: bool = False) -> None:
        """Note what is wrong with the value at `where`."""
        position = self.position(where, key=key)
        self.note(Mark(position.line, position.column), sentence)

    def note(self, mark: Mark, sentence: str) -> None:
        shown_line = excerpt(self.lines, *mark) if self.excerpts else ""
        self.problems.append(Problem(Position(self.file, *mark), sentence, shown_line))
