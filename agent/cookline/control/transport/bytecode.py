"""Modules as Python keeps them when it has compiled them. Hosts with the Python of this process get them with their first
bundle, as compiling costs each host 0.15 s."""

from __future__ import annotations

import json
import marshal
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import MAGIC_NUMBER, source_hash

from cookline.control.transport import memory

# PEP 552: named by a hash of the source that is not to be checked, as a tree never changes.
UNCHECKED = (1).to_bytes(4, "little")
NAME = "bytecode"


@dataclass(frozen=True)
class Bytecode:
    """`sizes` has (path, bytes) of each compiled module; `packed` are all of them, one after another, compressed by zlib."""

    sizes: tuple[tuple[str, int], ...] = ()
    packed: bytes = b""


def compiled(modules: Mapping[str, bytes]) -> Bytecode:
    """Of {path: source}."""
    contents = {_place(path): _compiled(path, source) for path, source in modules.items()}
    return Bytecode(
        tuple((path, len(content)) for path, content in contents.items()), zlib.compress(b"".join(contents.values()))
    )


def _place(path: str) -> str:
    directory, _, name = path.rpartition("/")
    return f"{directory}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def _compiled(path: str, source: bytes) -> bytes:
    code = compile(source, path, "exec", dont_inherit=True)
    return MAGIC_NUMBER + UNCHECKED + source_hash(source) + marshal.dumps(code)


def recall(key: str) -> Bytecode | None:
    """What was remembered under the key, or None."""
    head, _, packed = (memory.recall(NAME) or b"").partition(b"\n")
    try:
        known = json.loads(head)
        return Bytecode(tuple((path, size) for path, size in known["sizes"]), packed) if known["key"] == _full(key) else None
    except (ValueError, LookupError, TypeError):
        return None


def remember(key: str, made: Bytecode) -> None:
    memory.keep(NAME, json.dumps({"key": _full(key), "sizes": made.sizes}).encode() + b"\n" + made.packed)


def _full(key: str) -> str:
    """With the very version of Python: a pre-release may compile otherwise."""
    return f"{key} {sys.version}"
