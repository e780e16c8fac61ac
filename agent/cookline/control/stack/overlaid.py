"""One document over another: what each file says is told with that file's own lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cookline.control.stack.attributes import merge
from cookline.control.stack.document import Document
from cookline.control.stack.problems import Position, Where


@dataclass
class Overlaid(Document):
    """`high` over `low`: mappings merge, everything else replaces."""

    low: Document = field(default_factory=lambda: Document("", []))
    high: Document = field(default_factory=lambda: Document("", []))

    def position(self, where: Where, *, key: bool = False) -> Position:
        return self._holder(where).position(where, key=key)

    def problem(self, where: Where, sentence: str, *, key: bool = False) -> None:
        holder = self._holder(where)
        holder.problem(where, sentence, key=key)
        self.problems.append(holder.problems.pop())

    def _holder(self, where: Where) -> Document:
        """The file that says most about `where`; of two that say the same, the one that wins."""
        return max((self.high, self.low), key=lambda document: _depth(document, where))


def _depth(document: Document, where: Where) -> int:
    while where and where not in document.marks:
        where = where[:-1]
    return len(where)


def overlaid(low: Document, path: Path) -> Document:
    """`low` with the mapping in the file at `path` over it, or as it is where there is no such file. Raises StackError."""
    from cookline.control.stack.reading import read

    if not path.exists():
        return low
    high = read(path)
    if high.data is not None and not isinstance(high.data, dict):
        high.problem((), "holds a mapping, what of it shall be otherwise on this machine")
    problems = [*low.problems, *high.problems]
    if problems or not isinstance(low.data, dict) or high.data is None:
        return Document(low.file, low.lines, low.data, low.marks, low.key_marks, problems)
    merged = merge(low.data, high.data)
    return Overlaid(low.file, low.lines, merged, low.marks | high.marks, low.key_marks | high.key_marks, low=low, high=high)
