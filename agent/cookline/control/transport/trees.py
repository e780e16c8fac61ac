"""Trees that can travel to a host: a manifest and the contents it names."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from cookline.errors import UsageError
from cookline.protocol import content_hash, tree_hash

Manifest = list[list[str]]


class Trees(Protocol):
    """Where a conversation takes from what a host lacks."""

    def manifest(self, tree: str) -> Manifest:
        """[[path, mode "0644" or "0755", sha256], ..] of a tree. Raises KeyError."""

    def open(self, content: str) -> BinaryIO:
        """The content with this sha256, seekable. Raises KeyError."""


@dataclass(frozen=True)
class Tree:
    """One tree whose contents are opened only when a host lacks them; `sources` maps sha256 to what opens it."""

    manifest: Manifest
    sources: Mapping[str, Callable[[], BinaryIO]]

    @property
    def hash(self) -> str:
        return tree_hash(self.manifest)

    @classmethod
    def of_contents(cls, contents: Mapping[str, bytes]) -> Tree:
        """A tree out of {path: content}."""
        manifest: Manifest = []
        sources: dict[str, Callable[[], BinaryIO]] = {}
        for path, content in sorted(contents.items()):
            digest = content_hash(content)
            manifest.append([path, "0644", digest])
            sources[digest] = _opener(content)
        return cls(manifest, sources)

    @classmethod
    def of_directory(cls, directory: str | Path) -> Tree:
        """A tree out of the files below `directory`, without __pycache__. Raises UsageError for links that leave it."""
        root = Path(directory).resolve()
        manifest: Manifest = []
        sources: dict[str, Callable[[], BinaryIO]] = {}
        for path in sorted(_files_below(root)):
            digest = content_hash(path.read_bytes())
            mode = "0755" if os.access(path, os.X_OK) else "0644"
            manifest.append([path.relative_to(root).as_posix(), mode, digest])
            sources[digest] = _file_opener(path)
        return cls(manifest, sources)

    @classmethod
    def of_file(cls, path: str | Path, *, name: str, sha256: str) -> Tree:
        """A tree with one file that was hashed before, such as an application's artifact."""
        return cls([[name, "0644", sha256]], {sha256: _file_opener(Path(path))})


def _files_below(root: Path) -> Iterable[Path]:
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name != "__pycache__"]
        for name in files:
            path = Path(directory, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UsageError(f"{path} is a link that leads out of {root}", hint="put a copy of the file in its place")
            if path.is_file():
                yield path


def _opener(content: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(content)


def _file_opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb")


class TreeSet:
    """Several trees as one `Trees`."""

    def __init__(self, trees: Iterable[Tree] = ()) -> None:
        self.trees: dict[str, Tree] = {}
        self.sources: dict[str, Callable[[], BinaryIO]] = {}
        for tree in trees:
            self.add(tree)

    def add(self, tree: Tree) -> str:
        """Returns the tree's hash."""
        name = tree.hash
        self.trees[name] = tree
        self.sources.update(tree.sources)
        return name

    def manifest(self, tree: str) -> Manifest:
        return self.trees[tree].manifest

    def open(self, content: str) -> BinaryIO:
        return self.sources[content]()
