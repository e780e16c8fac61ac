"""A stack file and its cookbooks as one checked Definition, or one StackError with everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cookline.control.stack.cookbooks import find_folders, packaged_cookbooks, read_cookbooks
from cookline.control.stack.definition import Definition as Definition
from cookline.control.stack.document import Document
from cookline.control.stack.problems import Position, Where, raise_problems
from cookline.control.stack.reading import collect, read

# Where cookbooks are looked for when the stack does not say, relative to its file.
DEFAULT_SEARCH = ("cookbooks", "../cookbooks")


def load_stack(path: Path | str, *, search: Sequence[Path] = ()) -> Definition:
    """The definition in the file at `path`; `search` are folders of cookbooks that come before those that it names.

    Raises StackError with every problem of the file and of the cookbooks, each with file, line, column and the line itself.
    """
    file = Path(path)
    document = read(file)
    return _checked(document, file.absolute().parent, search)


def parse_stack(
    text: str, *, file: str = "stack.yml", directory: Path | None = None, search: Sequence[Path] = ()
) -> Definition:
    """As `load_stack`, from text."""
    return _checked(collect(text, file), directory or Path.cwd(), search)


def _checked(document: Document, directory: Path, search: Sequence[Path]) -> Definition:
    from cookline.control.stack import checks
    from cookline.control.stack.models import Stack
    from cookline.control.stack.wording import validated

    if not isinstance(document.data, dict):
        if not document.problems:
            document.problem((), "a stack definition is a mapping that starts with `stack: NAME`")
        raise_problems(document.problems)
    stack = validated(Stack, document)
    folders = find_folders([*search, *_search_path(document, directory)])
    cookbooks, problems = read_cookbooks(folders)
    unreadable = set(folders) - set(cookbooks)
    checks.check_references(document, directory)
    checks.check_recipes(document, cookbooks, unreadable)
    checks.check_attributes(document, cookbooks, unreadable)
    raise_problems([*document.problems, *problems] if stack is None or document.problems else problems)
    assert stack is not None
    definition = Definition(stack, cookbooks, directory, document.file, _attribute_positions(document))
    checks.check_required(document, definition)
    raise_problems(document.problems)
    return definition


def _search_path(document: Document, directory: Path) -> list[Path]:
    """The folders that the stack names, else the default ones; at last those that ship with cookline."""
    named: Any = document.data.get("cookbooks")
    if not isinstance(named, list):
        return [*(directory / folder for folder in DEFAULT_SEARCH), packaged_cookbooks()]
    folders = []
    for index, text in enumerate(named):
        if not isinstance(text, str):
            continue
        try:
            folder = directory / Path(text).expanduser()
            is_folder = folder.is_dir()
        except (OSError, ValueError, RuntimeError):
            is_folder = False
        if is_folder:
            folders.append(folder)
        else:
            document.problem(("cookbooks", index), f"the folder {text[:100]!r} is not there")
    return [*folders, packaged_cookbooks()]


def _attribute_positions(document: Document) -> dict[Where, Position]:
    """The places of everything below an `attributes` key."""
    return {
        where: document.position(where, key=True)
        for where in document.key_marks
        if where[0] == "attributes" or (len(where) > 2 and where[2] == "attributes")
    }
