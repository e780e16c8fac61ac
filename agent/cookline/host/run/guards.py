"""only_if and not_if: whether a resource is wanted at all, asked just before it is looked at."""

from __future__ import annotations

from typing import Any, List, Optional

from cookline.errors import CommandError
from cookline.host.resources.base import Resource
from cookline.host.system import System

# A guard is a question; one that takes longer than this is answered no, as Chef does (features C24).
GUARD_SECONDS = 30.0


def skip_reason(resource: Resource, system: System) -> Optional[str]:
    """Why the guards skip the resource, or None when it is wanted. Guards run in a plan too."""
    for guard in _listed(resource.only_if):
        if not _true(guard, system):
            return f"only_if {_shown(guard)} is not so"
    for guard in _listed(resource.not_if):
        if _true(guard, system):
            return f"not_if {_shown(guard)} is so"
    return None


def _listed(guards: Any) -> List[Any]:
    if guards is None:
        return []
    return list(guards) if isinstance(guards, (list, tuple)) else [guards]


def _true(guard: Any, system: System) -> bool:
    if callable(guard):
        return bool(guard())
    if isinstance(guard, bool):
        return guard
    try:
        return system.query(str(guard), timeout=GUARD_SECONDS).status == 0
    except CommandError:
        return False


def _shown(guard: Any) -> str:
    return f"`{guard}`" if isinstance(guard, str) else getattr(guard, "__name__", repr(guard))
