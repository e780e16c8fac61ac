"""Where the values of secrets come from: private files, the generated ones in .cookline/secrets.json, age."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cookline.control.stack.regular_file import read_regular
from cookline.errors import StackError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.secrets import SecretReference

# token_urlsafe(24) gives 32 characters: 192 random bits.
GENERATED_BYTES = 24
LARGEST_FILE = 1024 * 1024


def generated(directory: Path, name: str) -> str:
    """The random value called `name`, made on first use; `directory` is .cookline. Raises StackError."""
    with _Lock(directory):
        path = directory / "secrets.json"
        kept = _kept(path)
        if name not in kept:
            kept[name] = secrets.token_urlsafe(GENERATED_BYTES)
            _keep(path, kept)
        return kept[name]


class _Lock:
    """Holds .cookline/secrets.lock, so that two commands do not generate two values for one name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> None:
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


def read_private(path: Path, reference: SecretReference) -> bytes:
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


def decrypted(content: bytes, reference: SecretReference, environ: Mapping[str, str]) -> bytes:
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


def picked(content: bytes, reference: SecretReference) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise StackError([f"!secret {reference}: the file is not UTF-8 text"]) from None
    if reference.key is None:
        return text.removesuffix("\n").removesuffix("\r")
    from cookline.control.stack.reading import parse

    found = parse(text, reference.name, excerpts=False).data
    for part in reference.key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            known = list(found) if isinstance(found, Mapping) else []
            raise StackError([f"!secret {reference}: the file has no key {part!r}{did_you_mean(part, known)}"])
        found = found[part]
    if not isinstance(found, str):
        raise StackError([f"!secret {reference}: the value is not text"], hint="write it in quotes")
    return found
