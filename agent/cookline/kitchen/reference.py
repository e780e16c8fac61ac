"""The reference of resources and actions, out of their docstrings and fields: what `cookline docs resources` prints."""

from __future__ import annotations

import importlib
import inspect
import re

import cookline
from cookline.host.resources.base import Action, Resource
from cookline.host.resources.declared import MISSING, Declared, Field

# Where the text of a kind leaves fields to that of its base.
COLUMN = 20
LEFT_TO = "All other fields are ManagedFile's"
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
    """One kind as Markdown: its text, its fields with types and defaults, what undo does, its example."""
    text, _, example = inspect.cleandoc(kind.__doc__ or "").partition("\n>>>")
    lines = [f"## {kind.__name__}", "", *_text(_with_inherited(kind, text)), "", "| field | type | default |", "|---|---|---|"]
    types = _types(kind)
    lines += [_row(name, each, types[name]) for name, each in _fields(kind).items()]
    if issubclass(kind, Resource):
        lines += ["", f"**Undo.** {undo(kind)}"]
    if example:
        lines += ["", "```python", *(line for line in (">>>" + example).rstrip().splitlines()), "```"]
    return "\n".join(lines)


def undo(kind: type[Resource]) -> str:
    """What `cookline undo` puts back of a change: the text of its method `inverse`."""
    method = kind.inverse
    if method is Resource.inverse:
        return "What it changes does not come back; `cookline undo` lists it before it begins."
    return " ".join((method.__doc__ or "").split())


def _with_inherited(kind: type[Declared], text: str) -> str:
    """The text with the fields that it leaves to the text of a base, in the base's words."""
    if LEFT_TO not in text:
        return text
    base = next(each for each in kind.__mro__ if each.__name__ == "ManagedFile")
    fields = inspect.cleandoc(base.__doc__ or "").partition("\n\n")[2]
    kept = [line for line in fields.splitlines() if not line.startswith(("path ", "content_sha256"))]
    before, _, after = text.partition(LEFT_TO)
    *prose, own = before.rstrip("\n").split("\n\n")
    listed = "\n".join([*map(_aligned, own.splitlines()), *map(_aligned, kept)])
    return "\n\n".join([*prose, listed, after.partition(".")[2].strip()])


def _aligned(line: str) -> str:
    """A line of a list of fields with the text in one column."""
    name, text = ("", line.strip()) if line.startswith(" ") else re.split(" {2,}", line, maxsplit=1)
    return f"{name:<{COLUMN}}{text}"


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
    """Those that authors give: not the common ones, nor what a kind fills in itself."""
    text = "\n".join(base.__doc__ or "" for base in kind.__mro__)
    filled = {
        name
        for names in re.findall(r"^ *([a-z0-9_]+(?:, [a-z0-9_]+)*) {2,}filled in", text, re.MULTILINE)
        for name in names.split(", ")
    }
    return {name: each for name, each in kind.__dataclass_fields__.items() if name not in COMMON and name not in filled}


def _types(kind: type[Declared]) -> dict[str, str]:
    """Field name to its type as it is written, with the names that only its module knows spelt out."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        known = vars(importlib.import_module(base.__module__))
        for name, annotation in inspect.get_annotations(base).items():
            found[name] = re.sub(r"\b(Owner|Words|Time)\b", lambda match: _spelt(known[match.group()]), str(annotation))  # noqa: B023
    return found


def _spelt(alias: object) -> str:
    return str(alias).replace("typing.", "").replace("NoneType", "None")


def _row(name: str, each: Field, kind: str) -> str:
    default = f"`{each.default!r}`" if each.default is not MISSING else "made anew"
    if each.default is MISSING and each.default_factory is MISSING:
        default = "required"
    return f"| `{name}` | `{kind}` | {default} |".replace("|`", "| `")
