"""Unpacks an application's tar archive, member by member, with checks of our own.

tarfile's filters are missing in Debian 12's Python 3.11.2, and an archive comes from somebody's repository: no member may reach
out of its directory, be a device, or bring a setuid bit.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from typing import IO, Iterator, Optional, Set, Tuple

from cookline.errors import ResourceError
from cookline.host.system import System

# A large web application with its dependencies has some 50,000 files.
MAX_MEMBERS = 200_000
MAX_BYTES = 4 * 1024**3


class BadArchive(ResourceError):
    """An archive that is broken, or has a member that must not be unpacked."""


def unpack(host: System, archive: str, directory: str, *, uid: int = -1, gid: int = -1) -> None:
    """Unpack `archive` (tar, plain or compressed) into the empty `directory`, all owned by uid and gid.

    Raises BadArchive, with the directory in any state.
    """
    with host.change("unpack", archive):
        try:
            with tarfile.open(archive, "r:*") as opened:
                for member in checked(opened):
                    _place(opened, member, directory, uid, gid)
                    host.step()
        except (tarfile.TarError, EOFError) as error:
            raise BadArchive(f"{archive} is no archive that can be read: {error}") from None
        check_links(directory)


def checked(opened: tarfile.TarFile, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES) -> Iterator[tarfile.TarInfo]:
    """The members in order, with normal names. Raises BadArchive at the first that must not be unpacked."""
    files: Set[str] = set()
    links: Set[str] = set()
    count = size = 0
    for member in opened:
        count, size = count + 1, size + member.size
        if count > max_members:
            raise BadArchive(f"the archive has more than {max_members} members")
        if size > max_bytes:
            raise BadArchive(f"the archive unpacks to more than {max_bytes} bytes")
        name = inside(member.name, member.name)
        reason = _refusal(member, name, files, links)
        if reason:
            raise BadArchive(f"the archive's member {member.name!r} {reason}")
        if name == ".":
            continue
        (links if member.issym() else files if member.isreg() else set()).add(name)
        member.name = name
        yield member


def _refusal(member: tarfile.TarInfo, name: str, files: Set[str], links: Set[str]) -> Optional[str]:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return "is a device or a pipe"
    if member.mode & 0o7000 & ~0o1000 and not member.issym():
        return "has a setuid or setgid bit"
    parts = name.split("/")
    if name in links or any("/".join(parts[:count]) in links for count in range(1, len(parts))):
        return "lies behind a link of the archive"
    if member.issym():
        inside(member.name, os.path.join(os.path.dirname(name), member.linkname))
    if member.islnk() and inside(member.name, member.linkname) not in files:
        return f"is a hard link to {member.linkname!r}, which is no file before it"
    return None


def inside(member: str, path: str) -> str:
    """The path made normal. Raises BadArchive when it is absolute or leads out."""
    normal = os.path.normpath(path)
    if path.startswith("/") or normal == ".." or normal.startswith("../") or "\0" in path or "\\" in path:
        raise BadArchive(f"the archive's member {member!r} leads out of the archive: {path!r}")
    return normal


def _place(opened: tarfile.TarFile, member: tarfile.TarInfo, directory: str, uid: int, gid: int) -> None:
    path = f"{directory}/{member.name}"
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if member.isdir():
        os.makedirs(path, mode=0o755, exist_ok=True)
    elif member.issym():
        os.symlink(member.linkname, path)
    elif member.islnk():
        os.link(f"{directory}/{os.path.normpath(member.linkname)}", path)
    else:
        _write(opened, member, path)
    own(path, directory, uid, gid)


def own(path: str, directory: str, uid: int, gid: int) -> None:
    """Give away the path and its parents below the directory; archives need not list their directories."""
    for each in _new_parents(path, directory):
        os.chown(each, uid, gid, follow_symlinks=False)


def _new_parents(path: str, directory: str) -> Tuple[str, ...]:
    parents = [path]
    while os.path.dirname(parents[-1]) != directory:
        parents.append(os.path.dirname(parents[-1]))
    return tuple(parents)


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    source = opened.extractfile(member)
    if source is None:
        raise BadArchive(f"the archive's member {member.name!r} has no content")
    with source:
        write_file(source, path, executable=bool(member.mode & 0o100))


def write_file(source: IO[bytes], path: str, *, executable: bool) -> None:
    """Nobody but the owner writes to what is unpacked, whatever the archive says."""
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        os.fchmod(target.fileno(), 0o755 if executable else 0o644)


def check_links(directory: str) -> None:
    """Links that lead through other links, seen where they really end."""
    root = os.path.realpath(directory)
    for parent, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = f"{parent}/{name}"
            if os.path.islink(path) and not (os.path.realpath(path) + "/").startswith(root + "/"):
                raise BadArchive(f"the archive's link {path[len(root) + 1 :]!r} leads out of the archive")
