"""What kinds ask of a plan: outside of one there is nothing that an earlier resource may still bring. See overlay.py."""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping, Optional

from cookline.errors import CooklineError


class CannotKnow(CooklineError):
    """Raised by `current` in a plan: the answer depends on something that an earlier resource would do first."""


class Foresight:
    """The answers of a machine that is really there.

    planned_units   unit -> whether it will run, None where there will be no such unit
    """

    is_plan = False
    planned_units: Mapping[str, Optional[bool]] = MappingProxyType({})

    def brought_by(self, path: Optional[str]) -> str:
        """The package that a plan expects to bring this path; outside of a plan there is none."""
        return ""

    def unforeseen(self, path: Optional[str] = None) -> str:
        """The resource before this one that may bring something at `path` (None: anything at all) which the plan does not
        know of; the empty string when there is none, as always outside of a plan."""
        return ""

    def unforeseen_account(self, name: str) -> str:
        """The resource before this one that may make a user or group of this name, as `unforeseen`."""
        return ""

    def in_plan(self, path: str) -> bool:
        """Whether something before would put what stands at `path`; never so outside of a plan."""
        return False
