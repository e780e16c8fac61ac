"""Identifiers that sort by the time they were made: ULIDs, 26 characters of Crockford's base 32
(https://github.com/ulid/spec)."""

from __future__ import annotations

import os
import threading
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BITS = 80


class _Generator:
    """Within one millisecond the random part counts up, so that identifiers of one process never sort the wrong way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self, milliseconds: int) -> int:
        with self._lock:
            fresh = (milliseconds << RANDOM_BITS) | int.from_bytes(os.urandom(RANDOM_BITS // 8), "big")
            # a clock that jumped back must not make older identifiers either
            same_or_older = (fresh >> RANDOM_BITS) <= (self._last >> RANDOM_BITS)
            self._last = self._last + 1 if same_or_older else fresh
            return self._last


_generator = _Generator()


def new_identifier() -> str:
    """A fresh ULID; later ones of this process sort after earlier ones."""
    number = _generator.next(int(time.time() * 1000))
    characters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, 32)
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))


def is_identifier(text: str) -> bool:
    return len(text) == LENGTH and all(character in ALPHABET for character in text)
