"""Unpacks a zip archive, member by member, with the same checks as for tar archives."""

from __future__ import annotations

import os
import stat
import zipfile
from typing import Set

from cookline.host import archive as tar
from cookline.host.archive import BadArchive
from cookline.host.system import System

# A link's target; Linux takes no longer path.
LONGEST_TARGET = 4096


def unpack(host: System, archive: str, directory: str, *, uid: int = -1, gid: int = -1) -> None:
    """Unpack the zip file `archive` into the empty `directory`, all owned by uid and gid.

    Raises BadArchive, with the directory in any state.
    """
    with host.change("unpack", archive):
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                if len(members) > tar.MAX_MEMBERS:
                    raise BadArchive(f"the archive has more than {tar.MAX_MEMBERS} members")
                if sum(member.file_size for member in members) > tar.MAX_BYTES:
                    raise BadArchive(f"the archive unpacks to more than {tar.MAX_BYTES} bytes")
                links: Set[str] = set()
                for member in members:
                    _place(opened, member, directory, links, uid, gid)
                    host.step()
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise BadArchive(f"{archive} is no archive that can be read: {error}") from None
        tar.check_links(directory)


def _place(opened: zipfile.ZipFile, member: zipfile.ZipInfo, directory: str, links: Set[str], uid: int, gid: int) -> None:
    name = tar.inside(member.filename, member.filename)
    if name == ".":
        return
    mode = member.external_attr >> 16
    kind = stat.S_IFMT(mode)
    parts = name.split("/")
    if any("/".join(parts[:count]) in links for count in range(1, len(parts) + 1)):
        raise BadArchive(f"the archive's member {name!r} lies behind a link of the archive")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise BadArchive(f"the archive's member {name!r} is a device or a pipe")
    if member.flag_bits & 1:
        raise BadArchive(f"the archive's member {name!r} is encrypted")
    if mode & 0o6000 and kind != stat.S_IFLNK:
        raise BadArchive(f"the archive's member {name!r} has a setuid or setgid bit")
    path = f"{directory}/{name}"
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if kind == stat.S_IFLNK:
        links.add(name)
        target = opened.read(member)[:LONGEST_TARGET].decode("utf-8", "surrogateescape")
        tar.inside(name, os.path.join(os.path.dirname(name), target))
        os.symlink(target, path)
    elif member.is_dir():
        os.makedirs(path, mode=0o755, exist_ok=True)
    else:
        with opened.open(member) as source:
            tar.write_file(source, path, executable=bool(mode & 0o100))
    tar.own(path, directory, uid, gid)
