"""Cookbooks: where they are found, what their cookbook.yml says, and the manifest under which they travel to hosts.

    cookbooks/nginx/
      cookbook.yml      name, version, depends, supports, attributes
      recipes/X.py      the recipe nginx::X
      templates/ files/ resources/
      tests/            stays here: not shipped

Attributes are declared with type, default and doc; a dot in a name goes into a mapping:

    attributes:
      port: {type: integer, default: 80, doc: The port that it listens on}
      tls.certificate: {type: string, required: true, doc: A PEM file}
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.document import Document
from cookline.control.stack.problems import Position, Problem, raise_problems, shown
from cookline.errors import CookbookError, StackError, did_you_mean
from cookline.protocol import content_hash, tree_hash

if TYPE_CHECKING:
    from cookline.control.stack.metadata import AttributeType

COOKBOOK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
RECIPE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.py")
# Templates and small files; packages and archives belong to an app or a package repository.
LARGEST_SHIPPED_FILE = 64 * 1024 * 1024
MOST_SHIPPED_FILES = 10_000


@dataclass(frozen=True)
class Cookbook:
    """`folder` is None in a revision that was loaded from the store. Positions are those of the declarations."""

    name: str
    version: str
    depends: tuple[str, ...]
    supports: tuple[str, ...]
    attributes: Mapping[str, AttributeType]
    recipes: tuple[str, ...]
    folder: Path | None = None
    positions: Mapping[str, Position] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """The declared defaults as attributes: {"port": 80, "tls": {..}}."""
        tree: dict[str, Any] = {}
        for name, declared in self.attributes.items():
            if "default" not in declared.model_fields_set:
                continue
            inner, *path = tree, *name.split(".")
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = declared.default
        return tree


def packaged_cookbooks() -> Path:
    """The cookbooks that ship with cookline: in the wheel, or in the source checkout."""
    return _packaged("cookbooks")


def packaged_stacks() -> Path:
    """The example stacks that ship with cookline."""
    return _packaged("stacks")


def packaged_vagrant() -> Path:
    """The part of Vagrant that ships with cookline: machines, provisioner, and the script that builds boxes."""
    return _packaged("vagrant")


def _packaged(name: str) -> Path:
    package = Path(__file__).resolve().parents[2]
    installed = package / "share" / name
    return installed if installed.is_dir() else package.parents[1] / name


def find_folders(folders: Iterable[Path]) -> dict[str, Path]:
    """Every cookbook below `folders` by name; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for entry in _entries(folder) if os.path.isdir(folder) else ():
            is_cookbook = os.path.isfile(f"{entry.path}/cookbook.yml") or os.path.isdir(f"{entry.path}/recipes")
            if COOKBOOK_NAME.fullmatch(entry.name) and is_cookbook:
                found.setdefault(entry.name, Path(entry.path))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name. Raises StackError."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StackError([f"{shown(folder)}: cannot be read: {error.strerror}"]) from None


def find_cookbooks(folders: Iterable[Path]) -> dict[str, Cookbook]:
    """Every cookbook below `folders`, read. Raises StackError with all problems of all of them."""
    cookbooks, problems = read_cookbooks(find_folders(folders))
    raise_problems(problems)
    return cookbooks


def read_cookbooks(folders: Mapping[str, Path]) -> tuple[dict[str, Cookbook], list[Problem]]:
    """The readable cookbooks of `folders`, and the problems of all of them."""
    cookbooks: dict[str, Cookbook] = {}
    problems: list[Problem] = []
    for name, folder in folders.items():
        cookbook, found = _read_cookbook(name, folder, set(folders))
        problems += found
        if cookbook is not None:
            cookbooks[name] = cookbook
    return cookbooks, problems


def _read_cookbook(name: str, folder: Path, known: set[str]) -> tuple[Cookbook | None, list[Problem]]:
    from cookline.control.stack.metadata import Metadata, check_declarations
    from cookline.control.stack.reading import read
    from cookline.control.stack.wording import validated

    file = folder / "cookbook.yml"
    try:
        document = read(file)
    except StackError as error:
        return None, [Problem(Position(shown(file), 1, 1), "; ".join(error.problems).partition(":1:1: ")[2] or str(error))]
    metadata = validated(Metadata, document) if isinstance(document.data, dict) else None
    if not isinstance(document.data, dict) and not document.problems:
        document.problem((), "a cookbook.yml is a mapping with name, version, depends, supports and attributes")
    if metadata is None or document.problems:
        return None, document.problems
    if metadata.name not in (None, name):
        document.problem(("name",), f"the cookbook's folder is {name!r}; its name must be the same")
    for index, other in enumerate(metadata.depends):
        if other not in known:
            document.problem(("depends", index), f"cookbook {other!r} is not on the search path{did_you_mean(other, known)}")
    check_declarations(metadata, document)
    cookbook = Cookbook(
        name=name,
        version=metadata.version,
        depends=metadata.depends,
        supports=metadata.supports,
        attributes=metadata.attributes,
        recipes=_recipes(folder),
        folder=folder,
        positions=_positions(document, metadata.attributes),
    )
    return cookbook, document.problems


def _recipes(folder: Path) -> tuple[str, ...]:
    try:
        names = os.listdir(folder / "recipes")
    except OSError:
        return ()
    return tuple(sorted(name[:-3] for name in names if RECIPE_FILE.fullmatch(name)))


def _positions(document: Document, attributes: Iterable[str]) -> dict[str, Position]:
    return {name: document.position(("attributes", name), key=True) for name in attributes}


def split_recipe(address: str) -> tuple[str, str]:
    """("nginx", "setup") of "nginx::setup"; ("nginx", "default") of "nginx"."""
    cookbook, _, recipe = address.partition("::")
    return cookbook, recipe or "default"


def recipe_problem(address: str, cookbooks: Mapping[str, Cookbook], others: Iterable[str] = ()) -> str | None:
    """What is wrong with a recipe's address, or None. `others` are cookbooks that are there but could not be read."""
    name, recipe = split_recipe(address)
    if name not in cookbooks:
        if name in set(others):
            return None
        return f"cookbook {name!r} is not on the search path{did_you_mean(name, cookbooks)}"
    known = cookbooks[name].recipes
    if recipe in known:
        return None
    near = did_you_mean(recipe, known) or (f"; it has {', '.join(known)}" if known else "; it has none")
    return f"cookbook {name!r} has no recipe {recipe!r} (recipes/{recipe}.py){near}"


def closure(cookbooks: Mapping[str, Cookbook], names: Iterable[str]) -> list[str]:
    """`names` and all that they depend on, each once, dependencies first. Raises CookbookError for a missing one."""
    ordered: dict[str, None] = {}
    waiting = [(name, False) for name in reversed(list(dict.fromkeys(names)))]
    seen: set[str] = set()
    while waiting:
        name, dependencies_done = waiting.pop()
        if dependencies_done:
            ordered[name] = None
            continue
        if name in seen:
            continue
        seen.add(name)
        if name not in cookbooks:
            raise CookbookError(f"cookbook {name!r} is not on the search path{did_you_mean(name, cookbooks)}")
        waiting.append((name, True))
        waiting += [(other, False) for other in reversed(cookbooks[name].depends)]
    return list(ordered)


@dataclass(frozen=True)
class ShippedFile:
    """A file of a tree: its path in the tree ("recipes/setup.py"), "0644" or "0755", sha256, and where it lies here."""

    path: str
    mode: str
    sha256: str
    source: Path

    @property
    def entry(self) -> list[Any]:
        return [self.path, self.mode, self.sha256]


def shipped_files(folder: Path) -> list[ShippedFile]:
    """The files of a cookbook that travel, sorted by path.

    Left out: hidden files, __pycache__, *.pyc and the top-level tests/. A link may point to a file inside the cookbook, whose
    content then travels; anything else raises CookbookError.
    """
    root = folder.resolve()
    found: list[ShippedFile] = []
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        for entry in _entries(root / inner):
            path = f"{inner}/{entry.name}" if inner else entry.name
            if entry.name.startswith(".") or entry.name == "__pycache__" or entry.name.endswith(".pyc") or path == "tests":
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
                continue
            found.append(_shipped_file(root, path, entry))
            if len(found) > MOST_SHIPPED_FILES:
                raise CookbookError(f"{shown(folder)}: a cookbook ships at most {MOST_SHIPPED_FILES} files")
    return sorted(found, key=lambda file: file.path)


def _shipped_file(root: Path, path: str, entry: os.DirEntry[str]) -> ShippedFile:
    source = Path(entry.path)
    try:
        path.encode()
        source = source.resolve(strict=True)
        status = source.stat()
    except UnicodeEncodeError:
        raise CookbookError(f"{shown(root)}: the name of the file {path!r} is not UTF-8") from None
    except (OSError, RuntimeError) as error:  # a link in a circle is a RuntimeError
        raise CookbookError(f"{shown(root / path)}: cannot be read: {error}") from None
    if entry.is_symlink() and not source.is_relative_to(root):
        raise CookbookError(f"{shown(root / path)}: the link leaves its cookbook", hint="copy the file into the cookbook")
    if not stat.S_ISREG(status.st_mode):
        raise CookbookError(f"{shown(root / path)}: is not a file", hint="a cookbook ships files and folders only")
    if status.st_size > LARGEST_SHIPPED_FILE:
        raise CookbookError(
            f"{shown(root / path)}: has {status.st_size} bytes; a shipped file has at most {LARGEST_SHIPPED_FILE}"
        )
    mode = "0755" if status.st_mode & 0o100 else "0644"
    try:
        return ShippedFile(path, mode, content_hash(source.read_bytes()), source)
    except OSError as error:
        raise CookbookError(f"{shown(source)}: cannot be read: {error.strerror}") from None


def manifest(folder: Path) -> list[list[Any]]:
    """[[path, mode, sha256], ..] of a cookbook's shipped files; its `tree_hash` names the cookbook's contents."""
    return [file.entry for file in shipped_files(folder)]


def hash_of(files: Sequence[ShippedFile]) -> str:
    return tree_hash([file.entry for file in files])
