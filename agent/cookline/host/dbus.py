"""One D-Bus method call on a private socket, with the standard library: no bus, no login, no program started.

systemd answers on /run/systemd/private to root. A call takes 1 to 2 ms, where `systemctl` takes 9.

    call("/org/freedesktop/systemd1", MANAGER, "ListUnitsByNames", "as", ["ssh.service"])

Python values stand for D-Bus types like this: y n q i u x t h = int, b = bool, d = float, s o g = str, a = list,
a{..} = dict (a list of pairs is taken too), (..) = tuple, v = (signature, value); a variant is read as its bare value.
"""

from __future__ import annotations

import _socket  # `socket` adds enums and costs a quiet run 1.4 ms
import contextlib
import os
import struct
from typing import Any, Dict, Iterable, List, Tuple

from cookline.errors import RunError

SYSTEMD_SOCKET = "/run/systemd/private"
SYSTEMD = "org.freedesktop.systemd1"
SYSTEMD_PATH = "/org/freedesktop/systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
PROPERTIES = "org.freedesktop.DBus.Properties"

METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
# Header fields of the D-Bus specification, with their types.
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 4, 5, 6, 8
FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I", "b": "I"}
ALIGNMENT = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}
# The specification's own limit of one message.
MAX_MESSAGE_BYTES = 128 * 1024 * 1024


class DBusError(RunError):
    """The callee answered with an error; `name` is its D-Bus name, as org.freedesktop.systemd1.NoSuchUnit."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(f"{message or 'no text'} ({name})")


def available(socket_path: str = SYSTEMD_SOCKET) -> bool:
    """Whether a call has somebody to answer it: the socket is there and we are root."""
    return os.geteuid() == 0 and os.path.exists(socket_path)


def call(
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    *arguments: Any,
    destination: str = SYSTEMD,
    socket_path: str = SYSTEMD_SOCKET,
    timeout: float = 30.0,
) -> List[Any]:
    """The values that the method returns. Raises DBusError for an answer that is an error, OSError when nobody answers."""
    message = method_call(path, interface, member, signature, arguments, destination)
    with contextlib.closing(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout)
        connection.connect(socket_path)
        identity = str(os.geteuid()).encode().hex()
        stream = _Stream(connection)
        connection.sendall(f"\0AUTH EXTERNAL {identity}\r\nBEGIN\r\n".encode())
        greeting = stream.line()
        if not greeting.startswith(b"OK"):
            raise PermissionError(f"the D-Bus peer refused to talk: {greeting.decode(errors='replace')}")
        # Not together with the greeting: systemd reads that in pieces of 256 bytes and forgets a call that came along.
        connection.sendall(message)
        return _answer(stream)


def method_call(
    path: str, interface: str, member: str, signature: str, arguments: Iterable[Any], destination: str = SYSTEMD
) -> bytes:
    """The bytes of a call with serial 1."""
    body = marshal(signature, arguments)
    fields: List[Tuple[int, Tuple[str, str]]] = [
        (PATH, ("o", path)),
        (INTERFACE, ("s", interface)),
        (MEMBER, ("s", member)),
        (DESTINATION, ("s", destination)),
    ]
    if signature:
        fields.append((SIGNATURE, ("g", signature)))
    header = bytearray(marshal("yyyyuua(yv)", [ord("l"), METHOD_CALL, 0, 1, len(body), 1, fields]))
    _pad(header, 8)
    return bytes(header) + body


class _Stream:
    """Exact reads of a socket."""

    def __init__(self, connection: _socket.socket) -> None:
        self.connection = connection
        self.waiting = bytearray()

    def _more(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise ConnectionResetError("the D-Bus peer closed the connection")
        self.waiting += received

    def line(self) -> bytes:
        while b"\r\n" not in self.waiting:
            self._more()
        line, _, self.waiting = self.waiting.partition(b"\r\n")
        return bytes(line)

    def exactly(self, count: int) -> bytes:
        while len(self.waiting) < count:
            self._more()
        taken = bytes(self.waiting[:count])
        del self.waiting[:count]
        return taken


def _answer(stream: _Stream) -> List[Any]:
    """The answer to serial 1; signals before it are skipped."""
    while True:
        start = stream.exactly(16)
        order = "<" if start[:1] == b"l" else ">"
        body_size, _, fields_size = struct.unpack(f"{order}III", start[4:16])
        if body_size + fields_size > MAX_MESSAGE_BYTES:
            raise ConnectionError("the D-Bus peer sent a message over the limit")
        rest = stream.exactly(fields_size + -fields_size % 8)
        body = stream.exactly(body_size)
        fields = dict(unmarshal("yyyyuua(yv)", start + rest, order)[6])
        if start[1] in (METHOD_RETURN, ERROR) and fields.get(REPLY_SERIAL) == 1:
            values = unmarshal(fields.get(SIGNATURE, ""), body, order)
            if start[1] == ERROR:
                raise DBusError(fields.get(ERROR_NAME, "unnamed"), str(values[0]) if values else "")
            return values


def split_signature(signature: str) -> List[str]:
    """The complete types of a signature: "ssa(sv)" -> ["s", "s", "a(sv)"]. Raises ValueError."""
    types, start = [], 0
    while start < len(signature):
        end = _end_of_type(signature, start)
        types.append(signature[start:end])
        start = end
    return types


def _end_of_type(signature: str, at: int) -> int:
    if at >= len(signature):
        raise ValueError(f"the D-Bus signature {signature!r} ends too early")
    if signature[at] == "a":
        return _end_of_type(signature, at + 1)
    if signature[at] in "({":
        closing = ")" if signature[at] == "(" else "}"
        at += 1
        while at < len(signature) and signature[at] != closing:
            at = _end_of_type(signature, at)
        if at >= len(signature):
            raise ValueError(f"the D-Bus signature {signature!r} ends too early")
        return at + 1
    if signature[at] not in FIXED and signature[at] not in "sogv":
        raise ValueError(f"{signature[at]!r} is no D-Bus type")
    return at + 1


# -- marshalling: alignment counts from the start of the message, and a body starts at a multiple of 8 ------------------


def marshal(signature: str, values: Iterable[Any]) -> bytes:
    """The little-endian bytes of `values`, one for each complete type of `signature`."""
    out = bytearray()
    types, given = split_signature(signature), list(values)
    if len(types) != len(given):
        raise ValueError(f"the D-Bus signature {signature!r} wants {len(types)} values, not {len(given)}")
    for each, value in zip(types, given):
        _write(out, each, value)
    return bytes(out)


def _pad(out: bytearray, alignment: int) -> None:
    out += b"\0" * (-len(out) % alignment)


def _write(out: bytearray, kind: str, value: Any) -> None:
    first = kind[0]
    _pad(out, ALIGNMENT.get(first, 4))
    if first in FIXED:
        out += struct.pack("<" + FIXED[first], value)
    elif first in "so":
        text = value.encode()
        out += struct.pack("<I", len(text)) + text + b"\0"
    elif first == "g":
        text = value.encode()
        out += bytes([len(text)]) + text + b"\0"
    elif first == "v":
        inner, content = value
        _write(out, "g", inner)
        _write(out, inner, content)
    elif first == "a":
        _write_array(out, kind[1:], value.items() if isinstance(value, dict) else value)
    else:
        for each, item in zip(split_signature(kind[1:-1]), value):
            _write(out, each, item)


def _write_array(out: bytearray, kind: str, items: Iterable[Any]) -> None:
    length_at = len(out)
    out += b"\0\0\0\0"
    _pad(out, ALIGNMENT.get(kind[0], 4))
    start = len(out)
    for item in items:
        _write(out, kind, item)
    struct.pack_into("<I", out, length_at, len(out) - start)


def unmarshal(signature: str, data: bytes, order: str = "<") -> List[Any]:
    """The values of a message's body. Raises ValueError for bytes that do not fit the signature."""
    reader = _Reader(data, order)
    try:
        return [reader.value(each) for each in split_signature(signature)]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"bytes that are no {signature!r}: {error}") from None


class _Reader:
    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.at = data, order, 0
        self.parts: Dict[str, List[str]] = {}

    def value(self, kind: str) -> Any:
        first = kind[0]
        alignment = ALIGNMENT.get(first, 4)
        self.at += -self.at % alignment
        if first in "so":
            return self._text(4, "I")
        if first in FIXED:
            value = self._number(FIXED[first])
            return bool(value) if first == "b" else value
        if first == "g":
            return self._text(1, "B")
        if first == "v":
            return self.value(self._text(1, "B"))
        if first == "a":
            return self._array(kind[1:])
        return tuple([self.value(each) for each in self._parts(kind)])

    def _parts(self, kind: str) -> List[str]:
        if kind not in self.parts:
            self.parts[kind] = split_signature(kind[1:-1])
        return self.parts[kind]

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack_from(self.order + code, self.data, self.at)
        self.at += struct.calcsize("=" + code)
        return value

    def _text(self, width: int, code: str) -> str:
        (length,) = struct.unpack_from(self.order + code, self.data, self.at)
        start = self.at + width
        self.at = start + length + 1
        if self.at > len(self.data):
            raise IndexError("text runs over the end")
        return self.data[start : start + length].decode()

    def _array(self, kind: str) -> Any:
        length = self._number("I")
        self.at += -self.at % ALIGNMENT.get(kind[0], 4)
        end = self.at + length
        if end > len(self.data):
            raise IndexError("an array runs over the end")
        items = []
        while self.at < end:
            items.append(self.value(kind))
        return dict(items) if kind[0] == "{" else items
