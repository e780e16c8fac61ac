"""Values for secret references, at the moment at which they are needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookline.control.stack import secret_sources as sources
from cookline.control.stack.secrets import SecretReference
from cookline.errors import StackError, did_you_mean

# Masking by value would blot out half of each line if a value could be short.
SHORTEST = 6


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
