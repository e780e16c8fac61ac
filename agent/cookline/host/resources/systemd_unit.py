"""SystemdUnit: a unit file of our own in /etc/systemd/system."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import units
from cookline.host.resources.base import Action, Changes, Resource, State, differences, field
from cookline.host.resources.file import File
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.service import switch_off
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay
    from cookline.host.resources.scope import Scope

# Older versions colour what they write also when nobody looks.
PLAIN = {"SYSTEMD_COLORS": "0", "SYSTEMD_LOG_COLOR": "0", "SYSTEMD_LOG_TARGET": "console"}
DIRECTORY = "/etc/systemd/system"
NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|socket|timer|path|mount|target|slice|automount|swap)")


class DaemonReload(Action):
    """Have systemd read its files anew, where it goes by an older text of the unit."""

    unit: str

    def gone(self, host: System) -> str:
        return "" if units.needs_daemon_reload(host, self.unit) else f"systemd has read {self.unit} since"

    def perform(self, host: System) -> None:
        if not self.gone(host):
            units.daemon_reload(host)


def units_to_read(host: System, unit: str) -> List[Action]:
    """What a change of a unit's file owes: a run that is killed before systemd has read it leaves that to the next one. A unit
    that is new to systemd is read when it is asked for."""
    return [DaemonReload(unit)] if units.in_memory(host, unit) is not None else []


class SystemdUnit(FileBacked):
    """A unit file, 0644 root; systemd reads its files anew after a change. Service says whether the unit runs.

    unit        file name with its suffix, "shop.service"
    content     text of the file
    source      instead of content: a name below `files/` of this cookbook, or "cookbook:name"
    verify      False skips `systemd-analyze verify`; it refuses lines that systemd would ignore
    exists      False stops and disables the unit and removes the file

    Anyone may read a unit file: put secrets into an EnvironmentFile of mode 0600.

    >>> SystemdUnit("shop.service", "[Service]\\nExecStart=/usr/bin/shop\\n").file().path
    '/etc/systemd/system/shop.service'
    """

    unit: str
    content: Optional[str] = None
    source: Optional[str] = field(default=None, kw_only=True)
    verify: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or not NAME.fullmatch(self.unit):
            raise ResourceUsageError(f"SystemdUnit needs a unit's name with its suffix, as 'shop.service', not {self.unit!r}")
        if self.exists and (self.content is None) == (self.source is None):
            raise ResourceUsageError(f"SystemdUnit[{self.unit}] needs either content or source")
        if self.exists:
            self._set(_content=self.content)

    def bind(self, scope: Scope) -> Any:
        if self.exists and self.source is not None:
            self._set(_content=scope.file(self.source))
        return self

    def file(self) -> ManagedFile:
        path = f"{DIRECTORY}/{self.unit}"
        if not self.exists:
            return File(path, exists=False)
        content: Union[str, bytes, None] = getattr(self, "_content", None)
        if content is None:
            raise ResourceUsageError(f"{self.name} has no content before node.ensure has bound it to its cookbook")
        kind = _VerifiedUnitFile if self.verify else File
        return kind(path, content, mode="0644", owner="root", group="root", sensitive=self.sensitive)

    def owes(self, host: System) -> List[Action]:
        return units_to_read(host, self.unit) if self.exists else []

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists and units.find(host, self.unit) is not None:
            host.run(["systemctl", "disable", "--now", "--", self.unit], ok=None)
        in_memory = units.in_memory(host, self.unit) is not None
        super().apply(host, changes)
        if in_memory or not self.exists:  # a unit that is new to systemd is read from disk when it is asked for: 0.1 s less
            units.daemon_reload(host)
        if not self.exists:
            host.run(["systemctl", "reset-failed", "--", self.unit], ok=None)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A unit that was made goes again. One that was changed gets its file back, and one that was removed is enabled and
        runs again if it did."""
        path = f"{DIRECTORY}/{self.unit}"
        status, unit = host.status(path), units.find(host, self.unit)
        if status is None:
            return SystemdUnit(self.unit, exists=False)
        if status.kind != "file":
            return super().inverse(host, changes)
        now = {"enabled": units.enabled(host, self.unit), "running": bool(unit and unit.running)}
        state: Dict[str, Any] = {} if self.exists else now
        content = (host.read(path) or b"").decode("utf-8", "surrogateescape")
        return _UnitAsItWas(self.unit, content, mode=status.mode, owner=status.uid, group=status.gid, **state)

    def predict(self, host: Overlay, changes: Changes) -> None:
        if not self.exists:
            switch_off(host, self.unit)
            host.planned_units[self.unit] = None
        elif host.planned_units.get(self.unit, True) is None:
            del host.planned_units[self.unit]
        self.file().apply(host, changes)


class _UnitAsItWas(SystemdUnit):
    """What `cookline undo` puts back."""

    mode: Any = field(default=None, kw_only=True)
    owner: Any = field(default=None, kw_only=True)
    group: Any = field(default=None, kw_only=True)
    enabled: Optional[bool] = field(default=None, kw_only=True)
    running: Optional[bool] = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        return f"SystemdUnit[{self.unit}]"

    def file(self) -> ManagedFile:
        content = (self.content or "").encode("utf-8", "surrogateescape")
        return File(f"{DIRECTORY}/{self.unit}", content, mode=self.mode, owner=self.owner, group=self.group)

    def current(self, host: System) -> State:
        unit = units.find(host, self.unit)
        return {**super().current(host), "enabled": units.enabled(host, self.unit), "running": bool(unit and unit.running)}

    def desired(self) -> State:
        wanted = {"enabled": self.enabled, "running": self.running}
        return {**super().desired(), **{name: value for name, value in wanted.items() if value is not None}}

    def apply(self, host: System, changes: Changes) -> None:
        file = self.file()
        file.apply(host, differences(file.current(host), file.desired()))
        units.daemon_reload(host)
        for name, verbs in (("enabled", ("disable", "enable")), ("running", ("stop", "start"))):
            if name in changes:
                units.systemctl(host, verbs[bool(getattr(self, name))], self.unit)


class _VerifiedUnitFile(File):
    """Staged under its own name in a directory of root's, as systemd-analyze goes by the name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(verify=("systemd-analyze verify %{path}",))

    def _verifier(self, host: System) -> Callable[[str], None]:
        def check(staged: str) -> None:
            import shutil

            directory = host.scratch("/run/cookline-unit-")
            os.mkdir(directory, 0o700)
            try:
                host.step()
                copy = f"{directory}/{os.path.basename(self.path)}"
                with open(staged, "rb") as source, open(copy, "wb") as target:
                    target.write(source.read())
                # with this unit alone in sight: reading all that it depends on would take three times as long
                alone = {**PLAIN, "SYSTEMD_UNIT_PATH": directory}
                answer = host.query(["systemd-analyze", "verify", "--man=no", copy], env=alone)
                refuse_bad_lines(self.path, copy, answer.stderr)
            finally:
                shutil.rmtree(directory)

        return check


def refuse_bad_lines(path: str, copy: str, output: str) -> None:
    """Only complaints about the file itself count: what it starts may come later. Raises ResourceError."""
    unit = re.escape(os.path.basename(path))
    counts = re.compile(rf"{re.escape(copy)}:\d+:|{unit}: .*Refusing\.$")
    complaints = [line.replace(copy, path) for line in output.splitlines() if counts.match(line)]
    if complaints:
        raise ResourceError(f"the new {path} is refused and not used:\n" + "\n".join(complaints))
