"""Mode, owner and group of a path: checked, read and made so, alike for every kind that has them."""

from __future__ import annotations

import os
import re
from typing import Any, Optional, Protocol, Union

from cookline.errors import ResourceUsageError
from cookline.host import accounts
from cookline.host.resources.base import Changes, State
from cookline.host.system import FileStatus, System

# Numbers that are modes when they are read in octal, and none that anybody wants as they are.
DECIMAL_MODES = frozenset(
    (400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 750, 755, 770, 775, 777, 1777, 2755)
)

Owner = Union[str, int, None]


class Owned(Protocol):
    """A resource with the three fields; None means not managed."""

    @property
    def mode(self) -> Any: ...

    @property
    def owner(self) -> Owner: ...

    @property
    def group(self) -> Owner: ...


def absolute_path(kind: str, path: Any) -> str:
    """The path without "." and double slashes. Raises ResourceUsageError for one that is relative or climbs by ".."."""
    if not isinstance(path, (str, os.PathLike)):
        raise ResourceUsageError(f"{kind} needs a path, not {path!r}")
    text = os.fspath(path)
    if not isinstance(text, str) or not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise ResourceUsageError(f"{kind} needs an absolute path without '..', not {text!r}")
    return "/" + os.path.normpath(text).lstrip("/")


def normal_mode(kind: str, mode: Any) -> Optional[str]:
    """Four octal digits out of "644", "0644" or 0o644. Raises ResourceUsageError."""
    if mode is None:
        return None
    if type(mode) is int and mode in DECIMAL_MODES:
        raise ResourceUsageError(f"{kind} has mode {mode}, the octal number {mode:05o}; write '{mode:04}' or 0o{mode}")
    text = f"{mode:04o}" if isinstance(mode, int) and not isinstance(mode, bool) else str(mode)
    if not re.fullmatch(r"0?[0-7]{3,4}", text):
        raise ResourceUsageError(f"{kind} has mode {mode!r}; write it as four octal digits, as '0644'")
    return text[-4:].rjust(4, "0")


def read_ownership(owned: Owned, host: System, status: FileStatus) -> State:
    """The managed ones of mode, owner and group."""
    state: State = {}
    if owned.mode is not None:
        state["mode"] = status.mode
    if owned.owner is not None:
        state["owner"] = accounts.owner_like(host, status.uid, owned.owner)
    if owned.group is not None:
        state["group"] = accounts.group_like(host, status.gid, owned.group)
    return state


def desired_ownership(owned: Owned) -> State:
    managed = {"mode": owned.mode, "owner": owned.owner, "group": owned.group}
    return {name: value for name, value in managed.items() if value is not None}


def uid_and_gid(host: System, owner: Owner, group: Owner) -> "tuple[Optional[int], Optional[int]]":
    """The numbers of owner and group; None for what is not managed. Raises ResourceError for unknown names."""
    uid = None if owner is None else accounts.uid_of(host, owner)
    gid = None if group is None else accounts.gid_of(host, group)
    return uid, gid


def check_names(owned: Owned, host: System) -> None:
    """In a plan with nothing planned before, an owner that nobody would create is an error now. Raises ResourceError."""
    if host.is_plan and not host.unforeseen():
        uid_and_gid(host, owned.owner, owned.group)


def apply_ownership(owned: Owned, host: System, path: str, changes: Changes) -> None:
    """Set what differs; the owner first, as changing it clears setuid bits."""
    uid, gid = uid_and_gid(host, owned.owner, owned.group)
    if "owner" in changes or "group" in changes:
        host.change_owner(path, -1 if uid is None else uid, -1 if gid is None else gid)
    if owned.mode is not None and ("mode" in changes or "owner" in changes or "group" in changes):
        host.change_mode(path, owned.mode)


def restore_context(host: System, path: str) -> None:
    """The SELinux context that the policy wants, where there is SELinux (features C46)."""
    if host.status("/sys/fs/selinux/enforce") is not None and host.status("/usr/sbin/restorecon") is not None:
        host.run(["restorecon", path])
