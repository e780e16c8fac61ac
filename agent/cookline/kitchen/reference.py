"""The reference of resources and actions, out of their docstrings and fields: what `cookline docs resources` prints."""

from __future__ import annotations

import importlib
import inspect

import cookline
from cookline.host.resources.base import Action, Resource
from cookline.host.resources.declared import MISSING, Declared, Field

COMMON = ("only_if", "not_if", "retries", "retry_delay", "ignore_failure", "sensitive", "timeout")


def kinds() -> list[type[Declared]]:
    """Every public resource and action, resources first, each by name."""
    found = [getattr(importlib.import_module(module), name) for name, module in cookline.EXPORTS.items()]
    declared = [each for each in found if inspect.isclass(each) and issubclass(each, (Resource, Action))]
    return sorted(
        {each for each in declared if each not in (Resource, Action)},
        key=lambda each: (issubclass(each, Action), each.__name__),
    )


def page(kind: type[Declared]) -> str:
    """One kind as Markdown: its text, its fields with types and defaults, its example."""
    text, _, example = inspect.cleandoc(kind.__doc__ or "").partition("\n>>>")
    lines = [f"## {kind.__name__}", "", *_text(text), "", "| field | type | default |", "|---|---|---|"]
    types = _types(kind)
    lines += [_row(name, each, types[name]) for name, each in _fields(kind).items()]
    if example:
        lines += ["", "```python", *(line for line in (">>>" + example).rstrip().splitlines()), "```"]
    return "\n".join(lines)


def reference() -> str:
    """All kinds as one Markdown document."""
    head = [
        "# Resources",
        "",
        "Made by `cookline docs resources`. Every resource takes these fields too, by name:",
        "",
        *_text(inspect.cleandoc(Resource.__doc__ or "").partition("\n\n")[2]),
    ]
    return "\n".join([*head, "", "\n\n".join(page(kind) for kind in kinds()), ""])


def _text(text: str) -> list[str]:
    """Prose as it is; the aligned list of fields as code, so that it stays aligned."""
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        aligned = all(line.startswith(" ") or "  " in line for line in block.splitlines())
        lines += ["", "```text", *block.splitlines(), "```"] if aligned and lines else ["", *block.splitlines()]
    return lines[1:]


def _fields(kind: type[Declared]) -> dict[str, Field]:
    return {name: each for name, each in kind.__dataclass_fields__.items() if name not in COMMON and each.repr}


def _types(kind: type[Declared]) -> dict[str, str]:
    """Field name to its type as it is written."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found.update({name: str(each) for name, each in inspect.get_annotations(base).items()})
    return found


def _row(name: str, each: Field, kind: str) -> str:
    default = f"`{each.default!r}`" if each.default is not MISSING else "made anew"
    if each.default is MISSING and each.default_factory is MISSING:
        default = "required"
    return f"| `{name}` | `{kind}` | {default} |".replace("|`", "| `")
