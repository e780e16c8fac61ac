"""`!secret KIND:REST`: a reference that stays a reference until the step that needs its value.

!secret env:NAME            an environment variable of the process that resolves it
!secret file:PATH           the content of a file (without its last newline) that nobody else may read
!secret file:PATH#key       a value of a YAML or JSON mapping in such a file; `a.b` goes into nested mappings
!secret generated:NAME      32 random characters, made on first use and kept 0600 in .cookline/secrets.json
!secret age:PATH#key        the same as file:, decrypted with AGE_IDENTITY_FILE; where `pyrage` is installed
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookline.control.stack import secret_sources as sources
from cookline.errors import StackError, did_you_mean

KINDS = ("env", "file", "generated", "age")
# Masking by value would blot out half of each line if a value could be short.
SHORTEST = 6

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


class Resolver:
    """Turns references into values, and remembers each value so that it can be masked.

    `directory` is .cookline; `base` the folder that relative `file:` paths start from (the stack file's).
    """

    def __init__(self, directory: Path, *, base: Path | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.directory = Path(directory)
        self.base = Path(base) if base is not None else Path.cwd()
        self.environ = os.environ if environ is None else environ
        self._known: dict[SecretReference, str] = {}

    @property
    def values(self) -> list[str]:
        """All values given out so far, longest first, as masking wants them."""
        return sorted(set(self._known.values()), key=lambda value: (-len(value), value))

    def resolve(self, value: Any) -> Any:
        """`value` with each reference replaced. Raises StackError that names the reference, never the value."""
        if isinstance(value, SecretReference):
            if value not in self._known:
                self._known[value] = self._checked(value)
            return self._known[value]
        if isinstance(value, Mapping):
            return {name: self.resolve(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.resolve(item) for item in value]
        return value

    def _checked(self, reference: SecretReference) -> str:
        value = {"env": self._env, "file": self._file, "generated": self._generated, "age": self._age}[reference.kind](
            reference
        )
        if len(value) < SHORTEST:
            raise StackError(
                [f"!secret {reference} has {len(value)} characters; a secret needs at least {SHORTEST}"],
                hint="a shorter one could not be masked in reports without blotting out other words",
            )
        return value

    def _env(self, reference: SecretReference) -> str:
        if reference.name not in self.environ:
            raise StackError(
                [f"!secret {reference}: the environment has no {reference.name}{did_you_mean(reference.name, self.environ)}"],
                hint=f"export {reference.name}=... before you start the command",
            )
        return self.environ[reference.name]

    def _generated(self, reference: SecretReference) -> str:
        return sources.generated(self.directory, reference.name)

    def _file(self, reference: SecretReference) -> str:
        return sources.picked(sources.read_private(self._path(reference), reference), reference)

    def _age(self, reference: SecretReference) -> str:
        content = sources.read_private(self._path(reference), reference)
        return sources.picked(sources.decrypted(content, reference, self.environ), reference)

    def _path(self, reference: SecretReference) -> Path:
        return self.base / Path(reference.name).expanduser()
