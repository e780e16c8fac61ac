"""What a plan knows of an archive that would be unpacked: its members, each with its content when somebody asks."""

from __future__ import annotations

import functools
import tarfile
import zipfile
from typing import Iterator, NamedTuple

from cookline.host.archive import BadArchive, checked
from cookline.host.overlay import Node, Overlay


class Member(NamedTuple):
    """A member of an archive; `kind` as in FileStatus, `stored` its name in the archive."""

    name: str
    kind: str
    mode: str
    target: str
    stored: str


def unpacks(host: Overlay, archive: str, path: str, *, strip: int, uid: int, gid: int) -> None:
    """Leave in the plan's picture what unpacking `archive` into `path` would. Raises BadArchive."""
    for member in members(archive):
        name = "/".join(member.name.split("/")[strip:])
        if not name:
            continue
        place = f"{path}/{name}"
        _make_parents(host, path, name, uid, gid)
        if member.kind != "directory":
            load = functools.partial(content, archive, member.stored)
            host.put(place, Node(member.kind, member.mode, uid, gid, load, member.target))
        elif host.status(place) is None:
            host.put(place, Node("directory", member.mode, uid, gid))


def members(archive: str) -> Iterator[Member]:
    """All members of a tar or zip archive, with normal names."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    mode = "0755" if info.is_dir() or info.external_attr >> 16 & 0o100 else "0644"
                    link = info.external_attr >> 28 == 0o12
                    target = opened.read(info).decode("utf-8", "surrogateescape") if link else ""
                    kind = "directory" if info.is_dir() else "link" if link else "file"
                    yield Member(info.filename.rstrip("/"), kind, mode, target, info.filename)
            return
        with tarfile.open(archive, "r:*") as tar:
            for member in checked(tar):
                kind = "directory" if member.isdir() else "link" if member.issym() else "file"
                mode = "0755" if member.isdir() or member.mode & 0o100 else "0644"
                yield Member(member.name, kind, mode, member.linkname if kind == "link" else "", member.name)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise BadArchive(f"{archive} is no archive that can be read: {error}") from None


def content(archive: str, stored: str) -> bytes:
    """The content of one member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            return opened.read(stored)
    with tarfile.open(archive, "r:*") as tar:
        found = next((each for each in tar if each.name.lstrip("./") == stored.lstrip("./")), None)
        source = tar.extractfile(found) if found is not None else None
        return source.read() if source is not None else b""


def _make_parents(host: Overlay, path: str, name: str, uid: int, gid: int) -> None:
    """Archives need not list their directories."""
    parts = name.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        parent = "/".join([path, *parts[:count]])
        if host.status(parent) is None:
            host.put(parent, Node("directory", "0755", uid, gid))
