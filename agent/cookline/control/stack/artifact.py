"""An app's files as one archive, made so that equal files give equal bytes: every host gets the same artifact."""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookline.control.stack.problems import shown
from cookline.errors import StackError
from cookline.protocol import content_hash, tree_hash

# The name under which the archive lies in its tree on the host.
ARTIFACT = "artifact.tar.gz"
# Held in memory while it is made; larger things belong to a package repository.
LARGEST_SOURCE = 256 * 1024 * 1024
MOST_MEMBERS = 50_000
LEFT_OUT = frozenset({".git", ".hg", ".svn", ".cookline", "__pycache__"})
# zlib's default: level 9 takes twice the time for 1 % less.
COMPRESSION = 6


@dataclass(frozen=True)
class Artifact:
    """The archive; `tree` is the hash of the tree with this one file."""

    content: bytes
    sha256: str

    @property
    def manifest(self) -> list[list[Any]]:
        return [[ARTIFACT, "0644", self.sha256]]

    @property
    def tree(self) -> str:
        return tree_hash(self.manifest)


@dataclass(frozen=True)
class Entry:
    """One file, link or folder on its way into an artifact. `kind` is file, link or directory.

    content  of a file: the bytes, or where they are read from; `target` is where a link leads
    """

    path: str
    kind: str
    executable: bool = False
    content: bytes | Path = b""
    target: str = ""


def artifact(folder: Path) -> Artifact:
    """The artifact of the files below `folder`, without version control. Links are kept when they stay inside.

    Raises StackError.
    """
    return packed(_entries(folder), shown(folder))


def packed(entries: Iterable[Entry], source: str) -> Artifact:
    """A tar.gz of the entries: sorted, without times and owners, modes 0644 and 0755. `source` is how errors call it.

    Raises StackError.
    """
    buffer = io.BytesIO()
    total = count = 0
    # no name and no time in gzip's header: both would change the bytes
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=COMPRESSION, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for entry in sorted(entries, key=lambda each: each.path):
            member, content = _member(entry, source)
            total, count = total + member.size, count + 1
            if total > LARGEST_SOURCE or count > MOST_MEMBERS:
                limit = f"{LARGEST_SOURCE // 1024**2} MB and {MOST_MEMBERS} files"
                raise StackError([f"{source}: the source of an app has at most {limit}"])
            archive.addfile(member, io.BytesIO(content) if content is not None else None)
    packed_content = buffer.getvalue()
    return Artifact(packed_content, content_hash(packed_content))


def left_out(path: str) -> bool:
    """Whether something lies in, or is, what no artifact has: version control and bytecode."""
    return not LEFT_OUT.isdisjoint(path.split("/")) or path.endswith(".pyc")


def _entries(folder: Path) -> Iterator[Entry]:
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        try:
            with os.scandir(folder / inner) as found:
                names = sorted(entry.name for entry in found)
        except OSError as error:
            raise StackError([f"{shown(folder / inner)}: cannot be read: {error.strerror}"]) from None
        for name in names:
            path = f"{inner}/{name}" if inner else name
            if left_out(name):
                continue
            entry = _entry(folder, path)
            yield entry
            if entry.kind == "directory":
                waiting.append(path)


def _entry(folder: Path, path: str) -> Entry:
    source = folder / path
    try:
        status = source.lstat()
        if stat.S_ISDIR(status.st_mode):
            return Entry(path, "directory")
        if stat.S_ISLNK(status.st_mode):
            return Entry(path, "link", target=os.readlink(source))
    except OSError as error:
        raise StackError([f"{shown(source)}: cannot be read: {error.strerror}"]) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_SOURCE:
        raise StackError([f"{shown(source)}: only files, folders and links can be deployed, of at most 256 MB"])
    return Entry(path, "file", bool(status.st_mode & 0o100), source)


def _member(entry: Entry, source: str) -> tuple[tarfile.TarInfo, bytes | None]:
    try:
        entry.path.encode()
    except UnicodeEncodeError:
        raise StackError([f"{source}: the name of the file {entry.path!r} is not UTF-8"]) from None
    member = tarfile.TarInfo(entry.path)
    member.mode = 0o755 if entry.executable or entry.kind == "directory" else 0o644
    if entry.kind == "directory":
        member.type = tarfile.DIRTYPE
        return member, None
    if entry.kind == "link":
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, entry.target
        _check_link(source, entry.path, entry.target)
        return member, None
    try:
        content = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
    except OSError as error:
        raise StackError([f"{source}/{entry.path}: cannot be read: {error.strerror}"]) from None
    member.size = len(content)
    return member, content


def _check_link(source: str, path: str, target: str) -> None:
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if posixpath.isabs(target) or inside == ".." or inside.startswith("../"):
        raise StackError([f"{source}/{path}: the link leads out of the app's source"], hint="put a copy in its place")
