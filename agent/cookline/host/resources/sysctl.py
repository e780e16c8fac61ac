"""Sysctl: a setting of the kernel."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Any, List, Optional, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

DIRECTORY = "/etc/sysctl.d"
KEY = re.compile(r"[a-z][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_:*-]+)+")


class Sysctl(Resource):
    """A setting below /proc/sys, now and after each boot (/etc/sysctl.d/60-cookline-KEY.conf). The kernel takes the value
    before the file is written, so that a value that it refuses is in no file.

    key         as "net.ipv4.ip_forward"; a / instead of . where a name has a dot, as in net/ipv4/conf/eth0.1/rp_filter
    value       a number or text; several numbers with spaces between
    live        False leaves the kernel alone until the next boot: for hosts whose /proc/sys is read-only, as containers' is
    exists      False removes the file; the kernel keeps what it has until the next boot, unless `value` says what it is to have

    >>> Sysctl("vm.swappiness", 10).desired()
    {'file': '10', 'live': '10'}
    """

    key: str
    value: Union[str, int, None] = None
    live: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not KEY.fullmatch(self.key) or ".." in self.key:
            raise ResourceUsageError(f"Sysctl needs a key as 'net.ipv4.ip_forward', not {self.key!r}")
        if self.exists and (self.value is None or "\n" in str(self.value)):
            raise ResourceUsageError(f"Sysctl[{self.key}] needs a value of one line")
        if isinstance(self.value, bool):
            raise ResourceUsageError(f"Sysctl[{self.key}] has the value {self.value}; the kernel knows 0 and 1")
        if self.value is not None:
            self._set(value=_normal(str(self.value)))

    @property
    def path(self) -> str:
        """The file that brings it back after a boot."""
        return f"{DIRECTORY}/60-cookline-{self.key.replace('/', '.')}.conf"

    @property
    def live_path(self) -> str:
        return "/proc/sys/" + (self.key if "/" in self.key else self.key.replace(".", "/"))

    def current(self, host: System) -> State:
        if not self.exists:
            state: State = {"file": None if host.status(self.path) is None else self._in_file(host) or "something else"}
        else:
            state = {"file": self._in_file(host)}
        if self.live:
            state["live"] = self._read_live(host)
        return state

    def _read_live(self, host: System) -> Optional[str]:
        found = host.read(self.live_path)
        if found is None and host.unforeseen(self.live_path):
            raise CannotKnow(
                f"there is no {self.live_path} yet; a module of the kernel that something before loads may bring it"
            )
        return None if found is None else _normal(found.decode("utf-8", "replace"))

    def _in_file(self, host: System) -> Optional[str]:
        for line in (host.read(self.path) or b"").decode("utf-8", "replace").splitlines():
            name, equals, value = line.partition("=")
            if equals and name.strip() == self.key:
                return _normal(value)
        return None

    def desired(self) -> State:
        live = {"live": self.value} if self.live and self.value is not None else {}
        return {"file": self.value if self.exists else None, **live}

    def apply(self, host: System, changes: Changes) -> None:
        if "live" in changes:
            self._write_live(host)
        if "file" in changes and not self.exists:
            host.remove(self.path)
        elif "file" in changes:
            host.write(self.path, self._text(), mode="0644")

    def _text(self) -> bytes:
        return f"# written by cookline\n{self.key} = {self.value}\n".encode()

    def _unknown(self) -> ResourceError:
        hint = "a KernelModule may have to come before"
        return ResourceError(f"the kernel of this host has no setting {self.key!r}", hint=hint)

    def _write_live(self, host: System) -> None:
        if host.status(self.live_path) is None:
            raise self._unknown()
        with host.change(f"set {self.key} in", self.live_path):
            try:
                with open(self.live_path, "wb", buffering=0) as file:
                    file.write(f"{self.value}\n".encode())
            except OSError as error:
                raise self._refused(error) from None

    def _refused(self, error: OSError) -> ResourceError:
        if error.errno == errno.EINVAL:
            return ResourceError(f"the kernel refuses the value {self.value!r} for {self.key}")
        hint = "in a container the settings belong to the machine around it: set them there, or say live=False"
        return ResourceError(f"{self.key} cannot be set on this host: {error.strerror}", hint=hint)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The former values, in the file and in the kernel."""
        file = changes["file"][0] if "file" in changes else self._in_file(host)
        live = changes["live"][0] if "live" in changes else None
        if file == "something else" or (file is not None and live not in (None, file)):
            return None
        return Sysctl(self.key, file if file is not None else live, live=live is not None, exists=file is not None)

    def predict(self, host: Overlay, changes: Changes) -> None:
        from cookline.host.overlay import Node

        if "live" in changes and host.status(self.live_path) is None:
            raise self._unknown()
        if "live" in changes:
            host.put(self.live_path, Node("file", load=lambda: f"{self.value}\n".encode()))
        if "file" in changes:
            host.write(self.path, self._text(), mode="0644") if self.exists else host.remove(self.path)

    def watched_paths(self) -> List[str]:
        return [self.path]


def _normal(value: Any) -> str:
    """The kernel parts several numbers by tabs."""
    return " ".join(str(value).split())
