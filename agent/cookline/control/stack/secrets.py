"""`!secret KIND:REST`: a reference that stays a reference until the step that needs its value.

!secret env:NAME            an environment variable of the process that resolves it
!secret file:PATH           the content of a file (without its last newline) that nobody else may read
!secret file:PATH#key       a value of a YAML or JSON mapping in such a file; `a.b` goes into nested mappings
!secret generated:NAME      32 random characters, made on first use and kept 0600 in .cookline/secrets.json
!secret age:PATH#key        the same as file:, decrypted with AGE_IDENTITY_FILE; where `pyrage` is installed
"""

from __future__ import annotations

import json
import os
import re
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookline.control.stack.regular_file import read_regular
from cookline.errors import StackError, did_you_mean

KINDS = ("env", "file", "generated", "age")
# Masking by value would blot out half of each line if a value could be short.
SHORTEST = 6
# token_urlsafe(24) gives 32 characters: 192 random bits.
GENERATED_BYTES = 24
LARGEST_FILE = 1024 * 1024

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
    """Every reference in `value`, each once, in order."""
    found: dict[SecretReference, None] = {}
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, SecretReference):
            found[item] = None
        elif isinstance(item, Mapping):
            waiting.extend(reversed(list(item.values())))
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
        with private_lock(self.directory):
            path = self.directory / "secrets.json"
            kept = _kept(path)
            if reference.name not in kept:
                kept[reference.name] = random_source.token_urlsafe(GENERATED_BYTES)
                _keep(path, kept)
            return kept[reference.name]

    def _file(self, reference: SecretReference) -> str:
        return _picked(_read_private(self._path(reference), reference), reference)

    def _age(self, reference: SecretReference) -> str:
        return _picked(_decrypted(_read_private(self._path(reference), reference), reference, self.environ), reference)

    def _path(self, reference: SecretReference) -> Path:
        return self.base / Path(reference.name).expanduser()


class private_lock:
    """Holds .cookline/secrets.lock, so that two commands do not generate two values for one name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> None:
        import fcntl

        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(self.directory / "secrets.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_exception: object) -> None:
        os.close(self._handle)


def _kept(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise StackError(
            [f"{path}: cannot be read as JSON: {error}"], hint="restore it from a backup: it holds secrets"
        ) from None
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise StackError([f"{path}: is not a mapping of names to texts"], hint="restore it from a backup: it holds secrets")
    return kept


def _keep(path: Path, kept: Mapping[str, str]) -> None:
    """Write all at once, synced: a generated password that a host has must never be lost here."""
    new = path.with_suffix(".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(kept, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)


def _read_private(path: Path, reference: SecretReference) -> bytes:
    """The file's bytes; refused when others could read it (looked at on the open file)."""
    try:
        content, status = read_regular(path, LARGEST_FILE)
    except OSError as error:
        raise StackError([f"!secret {reference}: {path}: {error.strerror}"]) from None
    if reference.kind == "file" and status.st_mode & 0o077:
        raise StackError([f"!secret {reference}: others may read {path}"], hint=f"chmod 600 {path}")
    if len(content) > LARGEST_FILE:
        raise StackError([f"!secret {reference}: {path} has more than {LARGEST_FILE} bytes"])
    return content


def _decrypted(content: bytes, reference: SecretReference, environ: Mapping[str, str]) -> bytes:
    try:
        import pyrage  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise StackError([f"!secret {reference}: age needs the package pyrage"], hint="pip install pyrage") from None
    identity_file = environ.get("AGE_IDENTITY_FILE")
    if not identity_file:
        raise StackError([f"!secret {reference}: AGE_IDENTITY_FILE does not say which key decrypts it"])
    try:
        lines = Path(identity_file).expanduser().read_text("utf-8").splitlines()
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY")]
        return bytes(pyrage.decrypt(content, keys))
    except Exception as error:  # pyrage's errors have no common class of their own
        raise StackError([f"!secret {reference}: cannot be decrypted with {identity_file}: {error}"]) from None


def _picked(content: bytes, reference: SecretReference) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise StackError([f"!secret {reference}: the file is not UTF-8 text"]) from None
    if reference.key is None:
        return text.removesuffix("\n").removesuffix("\r")
    from cookline.control.stack.document import parse

    found = parse(text, reference.name, excerpts=False).data
    for part in reference.key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            known = list(found) if isinstance(found, Mapping) else []
            raise StackError([f"!secret {reference}: the file has no key {part!r}{did_you_mean(part, known)}"])
        found = found[part]
    if not isinstance(found, str):
        raise StackError([f"!secret {reference}: the value is not text"], hint="write it in quotes")
    return found
