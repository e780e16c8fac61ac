"""Host keys that somebody has vouched for: lookup in known_hosts files, and pinning.

The first file that knows a host decides: after a pin in our own file, an old key in ~/.ssh/known_hosts is no longer good.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# A name without any of these stands for itself; most lines of a fleet's file are so.
PATTERN_SIGNS = re.compile(r"[*?!,]")


@dataclass(frozen=True)
class HostKey:
    """One public key: `kind` such as "ssh-ed25519", `blob` in base64; `file` and `line` tell where it stands."""

    kind: str
    blob: str
    file: str = ""
    line: int = 0
    revoked: bool = False

    @property
    def fingerprint(self) -> str:
        """SHA256:... as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


def host_name(address: str, port: int = 22) -> str:
    """How known_hosts writes a host: "web1" or "[web1]:2222"."""
    return address if port == 22 else f"[{address}]:{port}"


def lookup(files: Iterable[str], name: str) -> list[HostKey]:
    """The keys of the first file that has any for `name` (see host_name); empty when none has."""
    for file in files:
        keys = list(_keys_in(file, name))
        if keys:
            return keys
    return []


def _keys_in(file: str, name: str) -> Iterator[HostKey]:
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked") or not _matches(words[0], name):
            continue
        key = HostKey(words[1], words[2], file, number, marker == "@revoked")
        if is_key(key):
            yield key


def is_key(key: HostKey) -> bool:
    """The blob begins with its own kind."""
    try:
        blob = base64.b64decode(key.blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    return blob[4 : 4 + len(key.kind)] == key.kind.encode()


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _matches_hashed(patterns, name)
    if not PATTERN_SIGNS.search(patterns):
        return patterns.lower() == name.lower()
    found = False
    for pattern in patterns.lower().split(","):
        if fnmatch.fnmatchcase(name.lower(), pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _matches_hashed(pattern: str, name: str) -> bool:
    try:
        salt, expected = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), expected)


def pin(file: str, name: str, keys: Sequence[HostKey]) -> None:
    """Make `keys` the only ones that `file` has for `name` (see host_name), atomically, 0600."""
    path = Path(file).expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replaced = {key.line for key in _keys_in(file, name)}
    old = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    kept = [_without(line, name) if number in replaced else line for number, line in enumerate(old, 1)]
    lines = [line for line in kept if line is not None] + [f"{name} {key.kind} {key.blob}" for key in keys]
    descriptor, staged = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "w", encoding="utf-8") as output:
        output.write("".join(f"{line}\n" for line in lines))
    os.replace(staged, path)


def _without(line: str, name: str) -> str | None:
    """The line without this host; None when nobody else stands in it. A pattern that matches others too is left alone."""
    names, rest = line.split(None, 1)
    others = [other for other in names.split(",") if other.lower() != name.lower()]
    return f"{','.join(others)} {rest}" if others and not names.startswith(("|1|", "@")) else None
