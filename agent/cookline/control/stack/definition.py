"""A checked stack with its cookbooks: what everything else works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cookline.control.stack.problems import Position, Where

if TYPE_CHECKING:
    from cookline.control.stack.cookbooks import Cookbook
    from cookline.control.stack.models import Stack


@dataclass(frozen=True)
class Definition:
    """A stack with all cookbooks that it can use. `positions` has the places of the attributes, by their path in the file."""

    stack: Stack
    cookbooks: Mapping[str, Cookbook]
    directory: Path
    file: str = ""
    positions: Mapping[Where, Position] = field(default_factory=dict)

    def path(self, text: str) -> Path:
        """A path of the definition: "~/x", absolute, or relative to the stack file."""
        return self.directory / Path(text).expanduser()

    def position(self, where: Where) -> Position:
        """The place of an attribute, or of the nearest mapping around it."""
        while where and where not in self.positions:
            where = where[:-1]
        return self.positions.get(where, Position(self.file, 1, 1))
