"""CBOR (RFC 8949) as far as Smithy's rpc-v2-cbor uses it.

The reader takes bytes from strangers: lengths are checked against what is there before anything is allocated, and nesting is
bounded. Tag 1 (a time) is read as its number of epoch seconds. The writer tells doubles and times from integers by their Python
types, because typed clients refuse a bare integer for either.
"""

from __future__ import annotations

import struct
from typing import Any

MAX_DEPTH = 32
_BREAK = object()
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


class Timestamp(float):
    """Epoch seconds, written with tag 1."""


def loads(content: bytes) -> Any:
    """The one data item of `content`; raises ValueError when it is anything else.

    >>> loads(dumps({"a": [1, 2.5, "x", None, True]}))
    {'a': [1, 2.5, 'x', None, True]}
    """
    reader = _Reader(content)
    value = reader.item(0)
    if value is _BREAK or reader.at != len(content):
        raise ValueError("not one data item")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.content):
            raise ValueError("ends early")
        taken, self.at = self.content[self.at : end], end
        return taken

    def argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise ValueError(f"additional information {info}")
        return int.from_bytes(self.take(1 << (info - 24)), "big")

    def item(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self.simple(info)
        if major in (0, 1):
            number = self.argument(info)
            return number if major == 0 else -1 - number
        if major == 6:
            return self.tagged(self.argument(info), depth)
        if major in (2, 3):
            return self.string(major, info)
        return self.array(info, depth) if major == 4 else self.map(info, depth)

    def simple(self, info: int) -> Any:
        if info == 31:
            return _BREAK
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise ValueError(f"simple value {info}")
        form, length = _FLOATS[info]
        return struct.unpack(form, self.take(length))[0]

    def tagged(self, tag: int, depth: int) -> Any:
        value = self.item(depth + 1)
        if tag != 1 or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"tag {tag}")
        return value

    def string(self, major: int, info: int) -> bytes | str:
        if info != 31:
            content = self.take(self.argument(info))
            return content if major == 2 else content.decode()
        parts = []
        while (first := self.take(1)[0]) != 0xFF:
            if first >> 5 != major or first & 31 == 31:
                raise ValueError("a string of mixed parts")
            parts.append(self.take(self.argument(first & 31)))
        return b"".join(parts) if major == 2 else b"".join(parts).decode()

    def array(self, info: int, depth: int) -> list[Any]:
        values = []
        for _ in self.count(info):
            value = self.item(depth + 1)
            if value is _BREAK:
                if info != 31:
                    raise ValueError("a break in a counted list")
                break
            values.append(value)
        return values

    def map(self, info: int, depth: int) -> dict[str, Any]:
        values = {}
        for _ in self.count(info):
            key = self.item(depth + 1)
            if key is _BREAK and info == 31:
                break
            value = self.item(depth + 1)
            if not isinstance(key, str) or value is _BREAK:
                raise ValueError("a map with keys other than strings")
            values[key] = value
        return values

    def count(self, info: int) -> range:
        """How often to read: an item takes a byte at least, so that more than the bytes left is a lie."""
        left = len(self.content) - self.at
        if info == 31:
            return range(left + 1)
        length = self.argument(info)
        if length > left:
            raise ValueError("ends early")
        return range(length)


def dumps(value: Any) -> bytes:
    """`value` (None, bool, int, float, Timestamp, str, bytes, list, dict) as CBOR, without dict members that are None."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    if value is None or isinstance(value, bool):
        out.append({None: 0xF6, True: 0xF5, False: 0xF4}[value])
    elif isinstance(value, Timestamp):
        out.append(0xC1)
        _write(out, int(value) if value.is_integer() else float(value))
    elif isinstance(value, float):
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, int):
        _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    elif isinstance(value, (str, bytes)):
        content = value.encode() if isinstance(value, str) else value
        _head(out, 3 if isinstance(value, str) else 2, len(content))
        out += content
    elif isinstance(value, list):
        _head(out, 4, len(value))
        for each in value:
            _write(out, each)
    else:
        members = {key: each for key, each in value.items() if each is not None}
        _head(out, 5, len(members))
        for key, each in members.items():
            _write(out, key)
            _write(out, each)


def _head(out: bytearray, major: int, argument: int) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    info = next(info for info, limit in ((24, 1 << 8), (25, 1 << 16), (26, 1 << 32), (27, 1 << 64)) if argument < limit)
    out.append(major << 5 | info)
    out += argument.to_bytes(1 << (info - 24), "big")
