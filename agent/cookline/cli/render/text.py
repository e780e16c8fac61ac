"""Text of hosts is hostile: what reaches a terminal has no control characters and no markup left in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# All of C0 but newline and tab, DEL, C1, and the bidirectional overrides that reorder what is read.
HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# What the host writes in place of a value that is nobody's business (host/run/masking.py).
MASK = "*****FILTERED*****"


def printable(value: Any) -> str:
    """`value` as text with control characters as visible escapes ("\\x1b")."""
    return HOSTILE.sub(lambda match: match.group().encode("unicode_escape").decode(), str(value))


def changes(event: Mapping[str, Any]) -> str:
    """ "mode 0600 -> 0644, owner root -> www-data" of a resource event."""
    shown, hidden = [], []
    for each in event.get("changes") or []:
        if each.get("to") == MASK:
            hidden.append(printable(each.get("field")))
            continue
        before, after = short(each.get("from")), short(each.get("to"))
        shown.append(
            f"{printable(each.get('field'))} {before} -> {after}" if before else f"{printable(each.get('field'))} {after}"
        )
    return ", ".join([*shown, *([f"{', '.join(hidden)} (not shown)"] if hidden else [])])


def short(value: Any) -> str:
    """A value in at most 60 characters, a sha256 in 8; nothing for None."""
    if value is None:
        return ""
    text = printable(value)
    if len(text) == 64 and re.fullmatch("[0-9a-f]+", text):
        return text[:8]
    return text if len(text) <= 60 else text[:57] + "..."


def totals(counts: Mapping[str, int]) -> str:
    """ "2 changed, 98 unchanged"."""
    order = ("changed", "will_change", "cannot_know", "failed", "skipped", "unchanged", "will_not")
    return ", ".join(f"{counts[kind]} {kind.replace('_', ' ')}" for kind in order if counts.get(kind)) or "nothing to do"


def age(seconds: float | None) -> str:
    """ "12 s", "5 min", "3 h", "2 d"; "never" for None."""
    if seconds is None:
        return "never"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
