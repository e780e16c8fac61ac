"""The unified diff of a file's old and new content, as reports show it."""

from __future__ import annotations

from typing import Iterable

# Lines around a change (features C45).
CONTEXT_LINES = 3
# An event's line may have 256 KB, escapes and all.
MAX_DIFF_BYTES = 64 * 1024
# Beyond it a diff takes seconds and nobody reads it (features C45).
MAX_FILE_BYTES = 10_000_000


def is_binary(content: bytes) -> bool:
    """A NUL in the first 8 KB, or bytes that are not UTF-8."""
    if b"\0" in content[:8192]:
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def unified_diff(path: str, old: bytes, new: bytes) -> str:
    """The diff, or one line in brackets that says why there is none."""
    if max(len(old), len(new)) > MAX_FILE_BYTES:
        return f"[{path} is larger than {MAX_FILE_BYTES} bytes; no diff is made]"
    if is_binary(old) or is_binary(new):
        return f"[{path} is binary: {len(old)} bytes become {len(new)}]"
    compare = _compared if old else _all_new
    return _cut("\n".join(compare(_lines(old), _lines(new), f"{path} (current)", f"{path} (desired)")))


def _compared(old: "list[str]", new: "list[str]", before: str, after: str) -> "Iterable[str]":
    import difflib

    return difflib.unified_diff(old, new, before, after, n=CONTEXT_LINES, lineterm="")


def _all_new(old: "list[str]", new: "list[str]", before: str, after: str) -> "Iterable[str]":
    """What difflib makes of a file that was empty or not there, of which it need not think."""
    count = "1" if len(new) == 1 else f"1,{len(new)}"
    return [f"--- {before}", f"+++ {after}", f"@@ -0,0 +{count} @@", *(f"+{line}" for line in new)] if new else []


def _lines(content: bytes) -> "list[str]":
    text = content.decode()
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    elif lines:
        lines[-1] += "\n\\ No newline at end of file"
    return lines


def _cut(diff: str) -> str:
    encoded = diff.encode()
    if len(encoded) <= MAX_DIFF_BYTES:
        return diff
    kept = encoded[:MAX_DIFF_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n[cut: the whole diff has {len(encoded)} bytes]"
