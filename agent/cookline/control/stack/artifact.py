"""An app's local source as one archive, made so that equal files give equal bytes: every host gets the same artifact."""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
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


def artifact(folder: Path) -> Artifact:
    """A tar.gz of the files below `folder`: sorted, without times, owners and version control, modes 0644 and 0755.

    Links are kept when they stay inside. Raises StackError.
    """
    buffer = io.BytesIO()
    total = count = 0
    # no name and no time in gzip's header: both would change the bytes
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=COMPRESSION, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, source in _members(folder):
            member, content = _member(folder, path, source)
            total, count = total + member.size, count + 1
            if total > LARGEST_SOURCE or count > MOST_MEMBERS:
                limit = f"{LARGEST_SOURCE // 1024**2} MB and {MOST_MEMBERS} files"
                raise StackError([f"{shown(folder)}: the source of an app has at most {limit}"])
            archive.addfile(member, io.BytesIO(content) if content is not None else None)
    packed_content = buffer.getvalue()
    return Artifact(packed_content, content_hash(packed_content))


def _members(folder: Path) -> Iterator[tuple[str, Path]]:
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        try:
            with os.scandir(folder / inner) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise StackError([f"{shown(folder / inner)}: cannot be read: {error.strerror}"]) from None
        for entry in entries:
            if entry.name in LEFT_OUT or entry.name.endswith(".pyc"):
                continue
            path = f"{inner}/{entry.name}" if inner else entry.name
            yield path, Path(entry.path)
        waiting += [
            f"{inner}/{entry.name}" if inner else entry.name
            for entry in reversed(entries)
            if entry.name not in LEFT_OUT and entry.is_dir(follow_symlinks=False)
        ]


def _member(folder: Path, path: str, source: Path) -> tuple[tarfile.TarInfo, bytes | None]:
    try:
        path.encode()
        status = source.lstat()
        member = tarfile.TarInfo(path)
        member.mode = 0o755 if status.st_mode & 0o100 else 0o644
        if stat.S_ISDIR(status.st_mode):
            member.type = tarfile.DIRTYPE
            return member, None
        if stat.S_ISLNK(status.st_mode):
            member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, os.readlink(source)
            _check_link(source, path, member.linkname)
            return member, None
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_SOURCE:
            raise StackError([f"{shown(source)}: only files, folders and links can be deployed, of at most 256 MB"])
        content = source.read_bytes()
    except UnicodeEncodeError:
        raise StackError([f"{shown(folder)}: the name of the file {path!r} is not UTF-8"]) from None
    except OSError as error:
        raise StackError([f"{shown(source)}: cannot be read: {error.strerror}"]) from None
    member.size = len(content)
    return member, content


def _check_link(source: Path, path: str, target: str) -> None:
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if posixpath.isabs(target) or inside == ".." or inside.startswith("../"):
        raise StackError([f"{shown(source)}: the link leads out of the app's source"], hint="put a copy in its place")
