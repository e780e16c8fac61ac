"""Mount: a file system in its place, now and after a boot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import mounts
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

BY_NAME = {
    "UUID=": "/dev/disk/by-uuid/",
    "LABEL=": "/dev/disk/by-label/",
    "PARTUUID=": "/dev/disk/by-partuuid/",
    "PARTLABEL=": "/dev/disk/by-partlabel/",
}


class Mount(Resource):
    """A line of /etc/fstab, and what is mounted. All other lines of the table stay as they are.

    point       the directory; it is made when it is not there, 0755 root
    device      /dev/.., UUID=.., LABEL=.., host:/path, or a name for file systems without one (tmpfs)
    type        as mount(8) takes it: ext4, xfs, nfs, tmpfs, none (with the option bind), ..
    options     text, or a list of options
    dump, check_order   the last two fields of fstab(5)
    mounted     True or False; None leaves that as it is
    persistent  False leaves fstab alone: the mount ends with the next boot
    exists      False unmounts it and takes its line out of fstab; the directory stays

    When the line changes and the file system is mounted, it is mounted anew with the new options (`mount -o remount`); for
    another device or type it is unmounted first.

    >>> Mount("/srv/data", "UUID=0a1b", "ext4", options=["noatime", "nofail"]).desired()["fstab"]
    'UUID=0a1b /srv/data ext4 noatime,nofail 0 0'
    >>> Mount("/srv/data", exists=False).desired()
    {'fstab': None, 'mounted': False}
    """

    point: str
    device: str = ""
    type: str = "auto"
    options: Any = field(default="defaults", kw_only=True)
    dump: int = field(default=0, kw_only=True)
    check_order: int = field(default=0, kw_only=True)
    mounted: Optional[bool] = field(default=True, kw_only=True)
    persistent: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(point=absolute_path("Mount", self.point))
        if self.point in ("/", "/proc", "/sys", "/dev", "/run"):
            raise ResourceUsageError(f"Mount does not manage {self.point}, which the system mounts itself")
        if self.exists and not self.device:
            raise ResourceUsageError(f"Mount[{self.point}] needs a device")
        self._set(options=self.options if isinstance(self.options, str) else ",".join(self.options))
        for name in ("device", "type", "options"):
            if any(sign in getattr(self, name) for sign in "\n\0") or getattr(self, name).startswith("-"):
                raise ResourceUsageError(f"Mount[{self.point}] cannot have {name} {getattr(self, name)!r}")

    def _line(self) -> str:
        words = [self.device, self.point, self.type, self.options or "defaults"]
        return " ".join([*map(mounts.escaped, words), str(self.dump), str(self.check_order)])

    def current(self, host: System) -> State:
        state: State = {}
        if self.persistent:
            state["fstab"] = mounts.entry(mounts.fstab(host), 1, self.point)
        if self.mounted is not None:
            seen = mounts.at(host, self.point)
            ours = seen is None or not self.exists or self._stands_for(seen)
            state["mounted"] = seen is not None if ours or seen is None else seen.source
        return state

    def desired(self) -> State:
        state: State = {"fstab": self._line() if self.exists else None} if self.persistent else {}
        if self.mounted is not None:
            state["mounted"] = self.exists and self.mounted
        return state

    def apply(self, host: System, changes: Changes) -> None:
        seen = mounts.at(host, self.point)
        wanted = self.exists and self.mounted
        if seen is not None and ("mounted" in changes or (wanted and self._is_another(changes))):
            host.run(["umount", "--", self.point], timeout=self.timeout or 120.0)
            seen = None
        elif seen is not None and "fstab" in changes and wanted:
            self._mount(host, remount=True)
        if wanted and seen is None:
            self._prepare(host)
            self._mount(host)
        # last: only a line that differs tells a later run that what is mounted has other options
        if "fstab" in changes:
            table = mounts.edited(mounts.fstab(host), 1, self.point, self._line() if self.exists else None)
            mounts.write(host, table)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A mount that was made goes; a line and what was mounted by it come back."""
        old = str(changes.get("fstab", (None, None))[0] or "").split()
        if len(old) < 4:
            return Mount(self.point, exists=False) if self.exists and "fstab" in changes else None
        device, _, kind, options = (mounts.unescaped(each) for each in old[:4])
        numbers = [*old[4:6], "0", "0"]
        was_mounted = mounts.at(host, self.point) is not None
        return Mount(
            self.point, device, kind, options=options, dump=int(numbers[0]), check_order=int(numbers[1]), mounted=was_mounted
        )

    def predict(self, host: Overlay, changes: Changes) -> None:
        if "fstab" in changes:
            table = mounts.edited(mounts.fstab(host), 1, self.point, self._line() if self.exists else None)
            host.write(mounts.FSTAB, mounts.content(table))
        if self.exists and self.mounted:
            self._prepare(host)
        host.settle(self.name, self.desired(), mounts.FSTAB)

    def _is_another(self, changes: Changes) -> bool:
        """Whether the old line named another device or type."""
        old = str(changes.get("fstab", (None, None))[0] or "").split()
        return bool(old) and [old[0], old[2]] != [mounts.escaped(self.device), mounts.escaped(self.type)]

    def _stands_for(self, seen: mounts.Mounted) -> bool:
        """Whether what is mounted is this device, as far as the kernel tells: it names no image, and no directory of a bind."""
        device = self.device
        for prefix, directory in BY_NAME.items():
            if device.startswith(prefix):
                device = directory + device[len(prefix) :].strip('"')
        return not device.startswith("/dev/") or os.path.realpath(device) == os.path.realpath(seen.source)

    def _prepare(self, host: System) -> None:
        status = host.status(self.point)
        if status is None:
            host.make_directory(self.point, parents=True)
        elif status.kind != "directory" and "bind" not in self.options.split(","):
            raise ResourceError(f"{self.point} is a {status.kind}, not a directory", hint=f"remove it before {self.name}")

    def _mount(self, host: System, remount: bool = False) -> None:
        options = [option for option in (["remount"] if remount else []) + [self.options] if option]
        words = ["mount", "-t", self.type, "-o", ",".join(options), "--", self.device, self.point]
        host.run(words, timeout=self.timeout or 120.0)

    def watched_paths(self) -> List[str]:
        return [mounts.FSTAB] if self.persistent else []

    def declaration(self) -> Any:
        return {name: value for name, value in super().declaration().items() if name != "timeout"}
