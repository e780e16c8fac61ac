"""only_if and not_if: whether a resource is wanted at all, asked just before it is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, List, Optional, cast

from cookline.errors import CommandError, ResourceUsageError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Resource
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

# A guard is a question; one that takes longer than this is answered no, as Chef does (features C24).
GUARD_SECONDS = 30.0
# Questions that a plan answers by itself: test -e PATH, [ -d PATH ], each with a ! or without.
TEST = re.compile(
    r"""\s* (?P<no>!\s+)? (?: test | (?P<open>\[) ) \s+ (?P<no2>!\s+)? -(?P<sign>[efdLhs]) \s+
    (?P<path>/[\w./@:+-]*) \s* (?(open)\]) \s*""",
    re.VERBOSE,
)
KIND = {"f": "file", "d": "directory"}


def skip_reason(resource: Resource, system: System) -> Optional[str]:
    """Why the guards skip the resource, or None when it is wanted. Guards run in a plan too, which raises CannotKnow where
    an earlier resource may change the answer."""
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
    if not isinstance(guard, str):
        raise ResourceUsageError(f"only_if and not_if take a shell command or a callable, not {guard!r}")
    if not system.apply:
        answer = _foreseen(str(guard), cast("Overlay", system))
        if answer is not None:
            return answer
    try:
        return system.query(str(guard), timeout=GUARD_SECONDS).status == 0
    except CommandError:
        return False


def _foreseen(command: str, overlay: Overlay) -> Optional[bool]:
    """What a plan answers without asking the machine; None when nothing before has to do with the question."""
    test = TEST.fullmatch(command)
    if test is not None:
        path, negated = test["path"], bool(test["no"]) != bool(test["no2"])
        if not overlay.exists(path) and overlay.unforeseen(path):
            raise CannotKnow(f"whether `{command}` is so depends on {overlay.unforeseen(path)} before it")
        if test["sign"] != "s":
            return _test(overlay, path, test["sign"]) != negated
    cause = overlay.unforeseen() or next((name for name in overlay.names if _is_about(command, name)), "")
    if cause:
        raise CannotKnow(f"whether `{command}` is so may depend on {cause} before it")
    return None


def _test(overlay: Overlay, path: str, sign: str) -> bool:
    if sign in "Lh":
        return overlay.link_target(path) is not None
    if not overlay.exists(overlay.real_path(path)):
        return False
    status = overlay.status(overlay.real_path(path)) if sign in KIND else None
    return sign == "e" or (status is not None and status.kind == KIND[sign])


def _is_about(command: str, name: str) -> bool:
    """Whether a command names what the resource `name` changes: a path, or what lies below or above it; a user, a unit."""
    identity = name.partition("[")[2].rstrip("]")
    for word in re.findall(r"[\w./@:+-]+", command):
        for part in re.split(r"[,:]? ", identity):
            stem = part.rpartition(".")[0] if part.endswith((".service", ".timer")) else part
            if word in (part, stem, part.rpartition("/")[2]):
                return True
            if word.startswith("/") and part.startswith("/") and f"{part}/".startswith(f"{word}/".replace("//", "/")):
                return True
            if word.startswith(part + "/"):
                return True
    return False


def _shown(guard: Any) -> str:
    return f"`{guard}`" if isinstance(guard, str) else getattr(guard, "__name__", repr(guard))
