"""Modules as Python keeps them when it has compiled them. Hosts with the Python of this process get them with their first
bundle, as compiling costs each host 0.15 s."""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

# PEP 552: named by a hash of the source that is not to be checked, as a tree never changes.
UNCHECKED = (1).to_bytes(4, "little")
NAME = "bytecode.zip"


def compiled(modules: Mapping[str, bytes]) -> dict[str, bytes]:
    """{path of the compiled module: its content} for {path: source}."""
    return {_place(path): _compiled(path, source) for path, source in modules.items()}


def _place(path: str) -> str:
    directory, _, name = path.rpartition("/")
    return f"{directory}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def _compiled(path: str, source: bytes) -> bytes:
    code = compile(source, path, "exec", dont_inherit=True)
    return MAGIC_NUMBER + UNCHECKED + source_hash(source) + marshal.dumps(code)


def recall(directory: Path, key: str) -> dict[str, bytes] | None:
    """What was remembered under the key, or None."""
    try:
        with zipfile.ZipFile(directory / NAME) as archive:
            return {name: archive.read(name) for name in archive.namelist()} if archive.comment == _comment(key) else None
    except (OSError, zipfile.BadZipFile):
        return None


def remember(directory: Path, key: str, modules: Mapping[str, bytes]) -> None:
    """A cache directory that cannot be written costs time, nothing else."""
    with contextlib.suppress(OSError, RuntimeError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, staged = tempfile.mkstemp(dir=directory)
        with open(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.comment = _comment(key)
            for name, content in modules.items():
                archive.writestr(name, content)
        os.replace(staged, directory / NAME)


def _comment(key: str) -> bytes:
    """The key, with the very version of Python: a pre-release may compile otherwise."""
    return f"{key} {sys.version}".encode()
