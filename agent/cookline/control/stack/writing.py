"""Definitions as YAML text: a whole stack, or one instance more in a file that somebody has written."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.problems import shown
from cookline.control.stack.reading import collect, read
from cookline.control.stack.scalars import scalar
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.stack.document import Document
    from cookline.control.stack.models import Instance, Stack

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
# A mapping that fits into so many characters stands in one line.
LINE = 110


def stack_text(stack: Stack) -> str:
    """The definition as YAML, defaults left out. Raises UsageError for values that YAML's words cannot tell."""
    plain = stack.compact()
    plain.pop("cookbooks", None)  # folders are looked for beside the new file
    text = "".join(_block(plain, 0))
    found = collect(text, "stack.yml")
    from cookline.control.stack.models import Stack as Model

    if found.problems or Model.model_validate(found.data).compact() != plain:
        raise UsageError(f"the definition of {stack.name} holds values that cannot be written as YAML")
    return text


def instance_line(name: str, instance: Instance) -> str:
    """ "web1: {layers: [web], address: 192.0.2.1}", to stand below `instances:`."""
    return f"{_word(name)}: {_flow(instance.compact())}"


def add_instance(file: Path, name: str, instance: Instance) -> None:
    """Put an instance into a stack file, behind the last one; everything else stays as it is.

    Raises UsageError, with the file untouched, where its layout leaves no place for a line.
    """
    document = read(file)
    before = document.text
    lines = before.splitlines(keepends=True)
    at, indent, head = _place(document, lines, file)
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    lines.insert(at, f"{head}{indent}{instance_line(name, instance)}\n")
    text = "".join(lines)
    after = collect(text, document.file)
    wanted = {**_instances(document), name: instance.compact()}
    if after.problems or {each: _same(value) for each, value in _instances(after).items()} != {
        each: _same(value) for each, value in wanted.items()
    }:
        raise _no_place(file)
    _replace(file, text)


def _instances(document: Document) -> dict[str, Any]:
    found = document.data.get("instances") if isinstance(document.data, dict) else None
    return dict(found) if isinstance(found, dict) else {}


def _same(value: Any) -> Any:
    from cookline.control.stack.secrets import to_plain

    return to_plain(value)


def _place(document: Document, lines: list[str], file: Path) -> tuple[int, str, str]:
    """The index of the line before which the new one goes, its indentation, and what must come before it."""
    key = document.key_marks.get(("instances",))
    if key is None:
        return len(lines), "  ", "instances:\n"
    children = [mark for where, mark in document.key_marks.items() if len(where) == 2 and where[0] == "instances"]
    if any(mark.line == key.line for mark in children) or (not children and "{" in lines[key.line - 1]):
        raise _no_place(file)
    following = [mark.line for where, mark in document.key_marks.items() if len(where) == 1 and mark.line > key.line]
    end = min(following, default=len(lines) + 1) - 1
    last = max((mark.line for mark in children), default=key.line)
    while end > last and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end, " " * (children[0].column - 1 if children else 2), ""


def _no_place(file: Path) -> UsageError:
    return UsageError(
        f"{shown(file)} has no place for one more line below `instances:`", hint="paste the line where it belongs"
    )


def _replace(file: Path, text: str) -> None:
    descriptor, staged = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with open(descriptor, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), file.stat().st_mode & 0o777)
    os.replace(staged, file)


def _block(value: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for name, item in value.items():
        head = "  " * depth + f"{_word(name)}:"
        short = _flow(item)
        # sections stand in lines of their own, and each thing of a section too
        if not isinstance(item, dict) or "!secret" in item or not item or (depth and len(head) + len(short) < LINE):
            lines.append(f"{head} {short}\n")
        else:
            lines += [f"{head}\n", *_block(item, depth + 1)]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"!secret"}:
        return f"!secret {_word(value['!secret'])}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_word(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _word(value) if isinstance(value, str) else json.dumps(value)


def _word(text: str) -> str:
    """Quoted wherever YAML could take it for something else; a JSON text is one of YAML too."""
    return text if PLAIN.fullmatch(text) and scalar(text) == text else json.dumps(text)
