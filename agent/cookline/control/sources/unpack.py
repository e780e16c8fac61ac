"""The entries of an archive, in memory: nothing of it is ever written to the controller's disk under its own names.

The checks are our own (tarfile's filters are missing in Debian 12's Python): no member may lead out of the archive, lie behind
a link of it, be a device, or bring a setuid bit; sizes are counted while they unpack, so that a small bomb stays small.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import IO, Any

from cookline.control.stack.artifact import LARGEST_SOURCE, MOST_MEMBERS, Entry, left_out
from cookline.errors import SourceError

# A tar has half a kilobyte around each member, and its members are padded to as much.
LARGEST_TAR = LARGEST_SOURCE + 2048 * MOST_MEMBERS

BROKEN = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError)


def entries(content: bytes, name: str, *, strip: int = 0) -> list[Entry]:
    """What an archive (tar: plain, gzip, bzip2, xz; zip) holds, without the first `strip` folders of each path.

    Raises SourceError, which calls the archive `name`.
    """
    found = _Found(name, strip)
    try:
        if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            _zip(content, found)
        else:
            _tar(content, found)
    except BROKEN as error:
        raise SourceError(
            f"{name} is no archive that can be read: {error}", hint="tar, tar.gz, tar.bz2, tar.xz and zip can"
        ) from None
    if not found.entries:
        raise SourceError(f"{name} holds no files" + (f" below {strip} folders" if strip else ""))
    return list(found.entries.values())


@dataclass
class _Found:
    """What was accepted so far. `name` is the archive's, for errors."""

    name: str
    strip: int
    entries: dict[str, Entry] = field(default_factory=dict)
    bytes: int = 0
    members: int = 0

    def refuse(self, member: str, reason: str) -> SourceError:
        return SourceError(f"{self.name}: the member {member[:200]!r} {reason}")

    def count(self, size: int) -> None:
        """Before the content of a member is read."""
        self.members, self.bytes = self.members + 1, self.bytes + size
        if self.members > MOST_MEMBERS or self.bytes > LARGEST_SOURCE:
            limit = f"{LARGEST_SOURCE // 1024**2} MB and {MOST_MEMBERS} files"
            raise SourceError(f"{self.name}: the source of an app has at most {limit}")

    def path(self, member: str) -> str | None:
        """Where it lies in the artifact; None for what is left out."""
        normal = posixpath.normpath(member)
        if member.startswith("/") or normal == ".." or normal.startswith("../") or "\0" in member or "\\" in member:
            raise self.refuse(member, "leads out of the archive")
        parts = normal.split("/")[self.strip :] if normal != "." else []
        path = "/".join(parts)
        return None if not path or left_out(path) else path

    def add(self, member: str, entry: Entry) -> None:
        parents = [entry.path[:index] for index, character in enumerate(entry.path) if character == "/"]
        for parent in parents:
            if self.entries.setdefault(parent, Entry(parent, "directory")).kind != "directory":
                raise self.refuse(member, f"lies behind {parent!r}, which is no folder")
        before = self.entries.get(entry.path)
        if before is not None and (before.kind, entry.kind) != ("directory", "directory"):
            raise self.refuse(member, "stands twice")
        self.entries[entry.path] = entry


class _Bounded(io.RawIOBase):
    """An unpacked stream that ends with an error, and not with the machine's memory."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name, self._left = stream, name, LARGEST_TAR

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._left:
            size = self._left + 1
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(f"{self._name} unpacks to more than {LARGEST_TAR // 1024**2} MB")
        return data


def _unpacked(content: bytes) -> Any:
    raw = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)
    if content[:3] == b"BZh":
        return bz2.BZ2File(raw)
    if content[:6] == b"\xfd7zXZ\0":
        return lzma.LZMAFile(raw)
    return raw


def _tar(content: bytes, found: _Found) -> None:
    # as a stream: nothing is read twice, and nothing before it is counted
    with tarfile.open(fileobj=_Bounded(_unpacked(content), found.name), mode="r|") as opened:
        for member in opened:
            found.count(member.size)
            _tar_member(opened, member, found)


def _tar_member(opened: tarfile.TarFile, member: tarfile.TarInfo, found: _Found) -> None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise found.refuse(member.name, "is a device or a pipe")
    if member.mode & 0o6000 and not member.issym():
        raise found.refuse(member.name, "has a setuid or setgid bit")
    path = found.path(member.name)
    if path is None:
        return
    if member.isdir():
        found.add(member.name, Entry(path, "directory"))
    elif member.issym():
        found.add(member.name, Entry(path, "link", target=member.linkname))
    elif member.islnk():
        target = found.path(member.linkname)
        other = found.entries.get(target or "")
        if other is None or other.kind != "file":
            raise found.refuse(member.name, f"is a hard link to {member.linkname[:200]!r}, which is no file before it")
        assert isinstance(other.content, bytes)
        found.count(len(other.content))
        found.add(member.name, Entry(path, "file", other.executable, other.content))
    else:
        stream = opened.extractfile(member)
        content = stream.read() if stream else b""
        found.add(member.name, Entry(path, "file", bool(member.mode & 0o100), content))


def _zip(content: bytes, found: _Found) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        for member in opened.infolist():
            found.count(member.file_size)
            _zip_member(opened, member, found)


def _zip_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, found: _Found) -> None:
    mode = member.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise found.refuse(member.filename, "is a device or a pipe")
    if mode & 0o6000:
        raise found.refuse(member.filename, "has a setuid or setgid bit")
    if member.flag_bits & 1:
        raise found.refuse(member.filename, "is encrypted")
    path = found.path(member.filename)
    if path is None:
        return
    if member.is_dir():
        found.add(member.filename, Entry(path, "directory"))
        return
    with opened.open(member) as stream:
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise found.refuse(member.filename, "is longer than it says")
    if kind == stat.S_IFLNK:
        found.add(member.filename, Entry(path, "link", target=content.decode("utf-8", "surrogateescape")))
    else:
        found.add(member.filename, Entry(path, "file", bool(mode & 0o100), content))
