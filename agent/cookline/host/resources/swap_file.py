"""SwapFile: a file that the kernel swaps to."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, List, Optional, Union

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host import mounts
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# mkswap writes this into the last ten bytes of the first page.
SIGNATURE = b"SWAPSPACE2"
# mkswap refuses less than ten pages.
SMALLEST = 40 << 10


class SwapFile(Resource):
    """A file of swap space, 0600 root; used now, and after a boot by a line of /etc/fstab.

    path        absolute
    size        bytes, or text such as "512M" or "2G"; a file of another size is made anew
    priority    as swapon(8) takes it; None is the kernel's own
    active      whether it is used; None leaves that as it is. In most containers the kernel refuses it
    persistent  False leaves fstab alone
    exists      False ends its use and removes line and file

    >>> SwapFile("/swapfile", "1M").desired()
    {'exists': True, 'size': 1048576, 'mode': '0600', 'fstab': '/swapfile none swap sw 0 0', 'active': True}
    """

    path: str
    size: Union[int, str] = 0
    priority: Optional[int] = field(default=None, kw_only=True)
    active: Optional[bool] = field(default=True, kw_only=True)
    persistent: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(path=absolute_path("SwapFile", self.path), size=_bytes(self.path, self.size) if self.exists else 0)

    def current(self, host: System) -> State:
        status = host.status(self.path)
        line = mounts.entry(mounts.fstab(host), 0, self.path)
        state: State = {"fstab": line} if self.persistent else {}
        state["active"] = self.path in _used(host)
        if status is None:
            return {**ABSENT, **state}
        swap = status.kind == "file" and _signed(self.path)
        return {"exists": swap or not self.exists, "size": status.size, "mode": status.mode, **state}

    def desired(self) -> State:
        state: State = {"exists": True, "size": self.size, "mode": "0600"} if self.exists else dict(ABSENT)
        if self.persistent:
            state["fstab"] = self._line() if self.exists else None
        if self.active is not None:
            state["active"] = self.exists and self.active
        return state

    def _line(self) -> str:
        options = "sw" if self.priority is None else f"sw,pri={self.priority}"
        return f"{mounts.escaped(self.path)} none swap {options} 0 0"

    def apply(self, host: System, changes: Changes) -> None:
        status = host.status(self.path)
        if status is not None and status.kind != "file":
            raise ResourceError(f"{self.path} is a {status.kind}, not a file", hint=f"remove it before {self.name}")
        if status is not None and status.size and not _signed(self.path):
            raise ResourceError(
                f"{self.path} is a file, but no swap space; it is left alone", hint="remove it by hand, or take another path"
            )
        remade = {"exists", "size"} & set(changes)
        if self.path in _used(host) and (remade or "active" in changes):
            host.run(["swapoff", "--", self.path], timeout=self.timeout or 600.0)
        if not self.exists:
            host.remove(self.path)
        elif remade:
            self._make(host)
        elif "mode" in changes:
            host.change_mode(self.path, "0600")
        if "fstab" in changes:
            mounts.write(host, mounts.edited(mounts.fstab(host), 0, self.path, self._line() if self.exists else None))
        if self.exists and self.active and self.path not in _used(host):
            self._use(host)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A swap file that was made goes, also from fstab; what was changed or removed is made anew by hand."""
        return SwapFile(self.path, exists=False) if self.exists and "exists" in changes else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        host.write(self.path, b"", mode="0600") if self.exists else host.remove(self.path)
        if "fstab" in changes:
            table = mounts.edited(mounts.fstab(host), 0, self.path, self._line() if self.exists else None)
            host.write(mounts.FSTAB, mounts.content(table))
        host.settle(self.name, self.desired(), self.path)

    def _make(self, host: System) -> None:
        """Made beside its place and renamed when it is whole. Every block is there, as swap files must have no holes."""
        staged = host.scratch(f"{self.path}.cookline-")
        try:
            with host.change("write", self.path):
                descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
                try:
                    os.posix_fallocate(descriptor, 0, int(self.size))
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            host.run(["mkswap", "--", staged])
            with host.change("write", self.path):
                os.replace(staged, self.path)
        finally:
            host.remove(staged)

    def _use(self, host: System) -> None:
        words = ["swapon", *([] if self.priority is None else ["--priority", str(self.priority)]), "--", self.path]
        try:
            host.run(words)
        except CommandError as error:
            if "not permitted" not in error.stderr:
                raise
            message = f"{self.path} is made, but the kernel does not let this host use swap, as in most containers"
            raise ResourceError(message, hint="say active=False here") from None

    def watched_paths(self) -> List[str]:
        return [self.path, *([mounts.FSTAB] if self.persistent else [])]

    def declaration(self) -> Any:
        return {name: value for name, value in super().declaration().items() if name != "timeout"}


def _bytes(path: str, size: Union[int, str]) -> int:
    match = re.fullmatch(r"(\d+) *([KMG]?)(?:i?B)?", str(size))
    number = int(match.group(1)) * UNITS[match.group(2)] if match else 0
    if number < SMALLEST or isinstance(size, bool):
        raise ResourceUsageError(f"SwapFile[{path}] needs a size such as '512M' or '2G', at least 40K, not {size!r}")
    return number


def _used(host: System) -> List[str]:
    """Paths of what is swapped to, from /proc/swaps."""
    lines = (host.read("/proc/swaps") or b"").decode("utf-8", "replace").splitlines()[1:]
    return [mounts.unescaped(line.split()[0]) for line in lines if line.strip()]


def _signed(path: str) -> bool:
    page = os.sysconf("SC_PAGE_SIZE")
    with open(path, "rb") as file:
        file.seek(page - len(SIGNATURE))
        return file.read(len(SIGNATURE)) == SIGNATURE
