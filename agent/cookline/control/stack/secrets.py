"""`!secret KIND:REST`: a reference that stays a reference until the step that needs its value.

!secret env:NAME            an environment variable of the process that resolves it
!secret file:PATH           the content of a file (without its last newline) that nobody else may read
!secret file:PATH#key       a value of a YAML or JSON mapping in such a file; `a.b` goes into nested mappings
!secret generated:NAME      32 random characters, made on first use and kept 0600 in .cookline/secrets.json
!secret age:PATH#key        the same as file:, decrypted with AGE_IDENTITY_FILE; where `pyrage` is installed
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cookline.errors import did_you_mean

KINDS = ("env", "file", "generated", "age")

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GENERATED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class SecretReference:
    """Where a secret is found; `key` is a dotted path in a YAML or JSON file, or None."""

    kind: str
    name: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" + (f"#{self.key}" if self.key is not None else "")

    def __repr__(self) -> str:
        return f"!secret {self}"

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """The reference that `text` (without "!secret") writes down. Raises ValueError with a sentence."""
        kind, colon, rest = text.strip().partition(":")
        if not colon or kind not in KINDS:
            raise ValueError(
                f"!secret wants {', '.join(k + ':' for k in KINDS)} and not {text[:60]!r}{did_you_mean(kind, KINDS)}"
            )
        if kind == "env" and not VARIABLE.fullmatch(rest):
            raise ValueError(f"{rest[:60]!r} is no name of an environment variable")
        if kind == "generated" and not GENERATED_NAME.fullmatch(rest):
            raise ValueError(f"{rest[:60]!r} is no name for a generated secret: letters, digits, '.', '_' and '-', at most 100")
        if kind in ("env", "generated"):
            return cls(kind, rest)
        path, hash_sign, key = rest.partition("#")
        if not path or "\0" in path or (hash_sign and not key):
            raise ValueError(f"!secret {kind}: wants a path, and after '#' a key")
        return cls(kind, path, key or None)


def to_plain(value: Any) -> Any:
    """`value` as JSON data: references become {"!secret": "env:X"}, tuples lists."""
    if isinstance(value, SecretReference):
        return {"!secret": str(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(value: Any) -> Any:
    """The reverse of `to_plain`. Raises ValueError."""
    if isinstance(value, Mapping):
        if set(value) == {"!secret"}:
            return SecretReference.parse(str(value["!secret"]))
        return {name: from_plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    return value


def references(value: Any) -> list[SecretReference]:
    """Every reference in `value` (data or models), each once, in order."""
    found: dict[SecretReference, None] = {}
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, SecretReference):
            found[item] = None
        elif isinstance(item, Mapping):
            waiting.extend(reversed(list(item.values())))
        elif hasattr(item, "model_fields_set"):
            waiting.extend(reversed([value for _name, value in item]))
        elif isinstance(item, (list, tuple)):
            waiting.extend(reversed(item))
    return list(found)
