"""Text from a host made harmless for terminals and logs."""

from __future__ import annotations

import re
from typing import Any

# Everything below a space but tab and newline, DEL, C1, bidirectional and line controls, lone surrogates, the byte order mark.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """`text` with control characters written out, such as \\x1b; tabs and newlines stay."""
    return UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def printable_value(value: Any) -> Any:
    """The same for every text within a decoded JSON value, keys included. Its depth is limited by protocol.decode."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_value(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable_value(item) for key, item in value.items()}
    return value
