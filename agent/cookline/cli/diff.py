"""cookline diff: what one revision of a stack has otherwise than another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson, Stack
from cookline.cli.pushing import frozen
from cookline.cli.render.text import printable
from cookline.cli.session import session
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.stack.difference import Difference, FileChange, ValueChange
    from cookline.control.stack.revision import Revision

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
STYLES = {"+": "green", "-": "red", "@": "cyan", "~": "yellow"}
# Lines of one file's diff that are shown without --full.
LINES_SHOWN = 80


def diff(
    stack: Stack,
    before: Annotated[int | None, typer.Argument(metavar="[A]", help="A revision; the one before B without.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="[B]", help="A revision; the newest without.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="B is what a push of this definition would make.")] = None,
    names_only: Annotated[bool, typer.Option("--names-only", help="No contents of files.")] = False,
    full: Annotated[bool, typer.Option("--full", help="All lines of every file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what changed between two revisions: values of the definition, files of cookbooks and apps.

    Example: cookline diff shop 3 5
    """
    from cookline.control.stack.difference import compare
    from cookline.control.stack.revision import Revision

    here = session()
    if file is not None:
        old = here.store.revisions.get(stack, before)
        fresh = _working_tree(stack, here.cwd / file, after)
        found = compare(Revision.load(dict(old.content)), fresh, _reader(fresh))
        number, title = None, f"{stack}: revision {old.number} -> {file}"
    else:
        new = here.store.revisions.get(stack, after)
        old = here.store.revisions.get(stack, max(1, new.number - 1) if before is None else before)
        found = compare(Revision.load(dict(old.content)), Revision.load(dict(new.content)), here.store.blobs.get)
        number, title = new.number, f"{stack}: revision {old.number} -> {new.number}, by {new.author}  {new.message}"
    if as_json:
        here.json({"stack": stack, "before": old.number, "after": number, **_plain(found)})
        return
    here.say(printable(title).rstrip())
    if not found:
        here.say("nothing differs")
    _print_values(found.values)
    _print_files(found.files, contents=not names_only, limit=None if full else LINES_SHOWN)


def _working_tree(stack: str, file: Path, after: int | None) -> Revision:
    if after is not None:
        raise UsageError("--file stands in the place of B", hint=f"cookline diff {stack} A --file FILE")
    fresh = frozen(file, quiet=True)
    if fresh.stack.name != stack:
        raise UsageError(f"{file} defines the stack {fresh.stack.name!r}, not {stack!r}")
    return fresh


def _reader(fresh: Revision) -> Callable[[str], bytes]:
    """Contents of the working tree, and else those that are kept."""
    blobs = {blob.sha256: blob for blob in fresh.blobs}
    return lambda sha256: blobs[sha256].read() if sha256 in blobs else session().store.blobs.get(sha256)


def _plain(found: Difference) -> dict[str, Any]:
    return {
        "values": [{**asdict(each), "kind": each.kind} for each in found.values],
        "files": [{**asdict(each), "kind": each.kind} for each in found.files],
    }


def _say(line: str, style: str = "") -> None:
    here = session()
    if here.terminal.interactive:
        here.console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)
    else:
        here.say(line)


def _print_values(values: tuple[ValueChange, ...]) -> None:
    if values:
        _say("definition", "bold")
    for each in values:
        sign = SIGNS[each.kind]
        text = {
            "added": _text(each.after),
            "removed": _text(each.before),
            "changed": f"{_text(each.before)} -> {_text(each.after)}",
        }
        _say(f"  {sign} {printable(each.where)}: {text[each.kind]}", STYLES[sign])


def _text(value: Any) -> str:
    """A value as somebody would write it, a secret as its reference."""
    if isinstance(value, dict) and set(value) == {"!secret"}:
        return f"!secret {printable(value['!secret'])}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{printable(name)}: {_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return printable(value) if isinstance(value, str) else json.dumps(value)


def _print_files(files: tuple[FileChange, ...], *, contents: bool, limit: int | None) -> None:
    for part, group in groupby(files, key=lambda each: each.part):
        kind, _, name = part.partition(":")
        _say(f"{kind} {printable(name)}", "bold")
        for each in group:
            sign = SIGNS[each.kind]
            mode = f"  mode {each.before} -> {each.after}" if each.kind == "changed" and each.before != each.after else ""
            _say(f"  {sign} {printable(each.path)}{mode}{'' if each.diff is not None else '  (no text)'}", STYLES[sign])
            if contents and each.diff:
                _print_diff(each.diff, limit)


def _print_diff(text: str, limit: int | None) -> None:
    lines = text.splitlines()[2:]
    for line in lines[:limit]:
        _say(f"      {printable(line)}", STYLES.get(line[:1], "dim"))
    if limit is not None and len(lines) > limit:
        _say(f"      ({len(lines) - limit} more lines: --full)", "dim")
