"""What changes leave to be done for all of them together: once when the recipes are through, or when somebody has to know."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional


class Afterwards:
    """`unsettled` takes checks of what a change has started, for its engine to make later; None: they are made at once."""

    def __init__(self) -> None:
        self.unsettled: Optional[List[Callable[[], None]]] = None
        self._at_end: Dict[str, Callable[[], None]] = {}

    def at_end(self, name: str, action: Callable[[], None]) -> None:
        """Have `action` done once when the recipes are through, in whatever way: for what may wait and needs no promise."""
        self._at_end[name] = action

    def settled(self, name: str) -> None:
        """It has been done already."""
        self._at_end.pop(name, None)

    def end(self) -> None:
        while self._at_end:
            self._at_end.pop(next(iter(self._at_end)))()
