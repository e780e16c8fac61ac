"""Resources that put back what stood there: the before-images of a run, kept by the engine for `cookline undo`."""

from __future__ import annotations

from typing import Optional

from cookline.host.resources.base import Resource
from cookline.host.system import System

# A larger file is not kept: before-images of thirty runs must not fill the disk.
LARGEST_CONTENT = 10 * 1024 * 1024


def path_as_it_is(host: System, path: str) -> Optional[Resource]:
    """The resource that would make `path` what it is now: content, mode, owner and group, link or absence.

    None for what cannot be put back: a directory with its content, a device, a file over LARGEST_CONTENT.
    """
    from cookline.host.resources.directory import Directory
    from cookline.host.resources.file import File
    from cookline.host.resources.link import Link

    status = host.status(path)
    if status is None:
        return File(path, exists=False, backup=False)
    if status.kind == "link":
        return Link(path, host.link_target(path) or "")
    if status.kind == "directory":
        return Directory(path, mode=status.mode, owner=status.uid, group=status.gid)
    if status.kind != "file" or status.size > LARGEST_CONTENT:
        return None
    content = host.read(path) or b""
    return File(path, content, backup=False, mode=status.mode, owner=status.uid, group=status.gid)
