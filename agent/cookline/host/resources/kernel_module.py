"""KernelModule: a module of the kernel, loaded now and at boot, or never."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List, Optional

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.programs import require_program
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

BOOT = "/etc/modules-load.d"
OPTIONS = "/etc/modprobe.d"


class KernelModule(Resource):
    """A module that is loaded, now and at each boot; or one that is kept out.

    module      its name
    options     parameters, as "max_loop=64"; they hold from the next time that it is loaded
    loaded      False leaves it to the next boot: for hosts that cannot load modules, as containers cannot
    blacklist   True keeps it from being loaded at boot and unloads it
    exists      False removes what cookline wrote; a module that is loaded stays

    >>> KernelModule("br_netfilter").desired()
    {'boot': 'br_netfilter\\n', 'options': None, 'loaded': True}
    >>> KernelModule("floppy", blacklist=True).desired()
    {'boot': None, 'options': 'blacklist floppy\\ninstall floppy /bin/false\\n', 'loaded': False}
    """

    module: str
    options: Optional[str] = field(default=None, kw_only=True)
    loaded: bool = field(default=True, kw_only=True)
    blacklist: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.module, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", self.module):
            raise ResourceUsageError(f"KernelModule needs a module's name, not {self.module!r}")
        if self.options is not None and ("\n" in self.options or self.blacklist):
            raise ResourceUsageError(
                f"KernelModule[{self.module}] takes options on one line, and none for a blacklisted module"
            )

    def _paths(self) -> "dict[str, str]":
        return {"boot": f"{BOOT}/cookline-{self.module}.conf", "options": f"{OPTIONS}/cookline-{self.module}.conf"}

    def current(self, host: System) -> State:
        state: State = {}
        for name, path in self._paths().items():
            content = host.read(path)
            state[name] = None if content is None else content.decode("utf-8", "replace")
        state["loaded"] = self._is_loaded(host)
        return state

    def _is_loaded(self, host: System) -> bool:
        """Also when it is built in: then /sys/module has it where it has parameters, and modules.builtin in any case."""
        name = self.module.replace("-", "_")
        if host.status(f"/sys/module/{name}") is not None:
            return True
        listed = (host.read("/proc/modules") or b"").decode("utf-8", "replace")
        return any(line.split(" ", 1)[0] == name for line in listed.splitlines())

    def desired(self) -> State:
        if not self.exists:
            return {"boot": None, "options": None}
        if self.blacklist:
            # `blacklist` alone lets other modules still pull it in (modprobe.d(5)).
            lines = f"blacklist {self.module}\ninstall {self.module} /bin/false\n"
            return {"boot": None, "options": lines, **({"loaded": False} if self.loaded else {})}
        options = None if self.options is None else f"options {self.module} {self.options}\n"
        return {"boot": f"{self.module}\n", "options": options, **({"loaded": True} if self.loaded else {})}

    def apply(self, host: System, changes: Changes) -> None:
        desired = self.desired()
        written = [name for name in ("options", "boot") if name in changes]
        if desired["options"] is not None and "options" in written:
            self._put(host, "options", desired)
        if "loaded" in changes:
            self._modprobe(host)
        for name in written:
            self._put(host, name, desired)

    def _put(self, host: System, name: str, desired: State) -> None:
        path, content = self._paths()[name], desired[name]
        if content is None:
            host.remove(path)
            return
        directory = path.rpartition("/")[0]
        if host.status(directory) is None:
            host.make_directory(directory)
        host.write(path, content.encode(), mode="0644")

    def _modprobe(self, host: System) -> None:
        require_program(host, "modprobe", "kmod", self.name)
        words = ["modprobe", "--remove"] if self.blacklist else ["modprobe"]
        try:
            host.run([*words, "--", self.module], timeout=self.timeout or 60.0)
        except CommandError as error:
            verb = "unloaded" if self.blacklist else "loaded"
            hint = "a container cannot load modules: load it on the machine around it, or say loaded=False"
            raise ResourceError(f"the module {self.module!r} cannot be {verb}: {error.stderr.strip()}", hint=hint) from None

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The files go that came; a module stays loaded, or unloaded."""
        files = [changes[name][0] for name in ("boot", "options") if name in changes]
        return KernelModule(self.module, exists=False) if files and not any(files) and self.exists else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        """The files; the module brings settings below /proc/sys that only the kernel knows."""
        for name in ("options", "boot"):
            if name in changes:
                self._put(host, name, self.desired())
        if "loaded" in changes:
            host.cannot_foresee(self.name, "/proc/sys")
            host.settle(self.name, self.desired(), None)

    def watched_paths(self) -> List[str]:
        return list(self._paths().values())
