"""SystemdTimer: a command at its times, by systemd."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from cookline.errors import ResourceUsageError
from cookline.host import units
from cookline.host.resources.base import Action, Changes, Resource, State, field
from cookline.host.resources.service import Service
from cookline.host.resources.systemd_unit import DIRECTORY, SystemdUnit
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

NAME = re.compile(r"[A-Za-z0-9_.\\-]+")
TEXTS = ("on_boot", "every", "user", "description", "random_delay")


class SystemdTimer(Resource):
    """A timer and the oneshot service that it starts, checked by systemd-analyze; the timer runs and is enabled.

    timer           name of both units, without a suffix
    command         ExecStart= of the service: an absolute program and its words, no shell
    calendar        OnCalendar=, as "daily", "Mon *-*-* 03:00" (systemd.time(7)); one or a list
    on_boot         OnBootSec=, as "5min": this long after boot
    every           OnUnitActiveSec=, as "1h": this long after it last started; needs on_boot or calendar for its first time
    user            who runs it
    description     what `systemctl list-timers` is to say
    persistent      what was missed while the host was off is made up for
    random_delay    RandomizedDelaySec=, as "10min"
    service         further settings of [Service], {"TimeoutStartSec": "1h"}; a list stands for several lines
    exists          False stops it and removes both units

    Both files may be read by anyone: put secrets into an EnvironmentVariable of the service.

    >>> timer = SystemdTimer("backup", "/usr/local/bin/backup --all", calendar="daily", persistent=True)
    >>> print(timer.timer_text())
    # written by cookline
    [Unit]
    Description=backup
    <BLANKLINE>
    [Timer]
    OnCalendar=daily
    Persistent=true
    <BLANKLINE>
    [Install]
    WantedBy=timers.target
    <BLANKLINE>
    """

    timer: str
    command: str = ""
    calendar: Any = field(default=(), kw_only=True)
    on_boot: Optional[str] = field(default=None, kw_only=True)
    every: Optional[str] = field(default=None, kw_only=True)
    user: str = field(default="root", kw_only=True)
    description: Optional[str] = field(default=None, kw_only=True)
    persistent: bool = field(default=False, kw_only=True)
    random_delay: Optional[str] = field(default=None, kw_only=True)
    service: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.timer, str) or not NAME.fullmatch(self.timer) or self.timer.endswith((".timer", ".service")):
            raise ResourceUsageError(f"SystemdTimer needs a name without a suffix, as 'backup', not {self.timer!r}")
        calendar = (self.calendar,) if isinstance(self.calendar, str) else tuple(self.calendar)
        self._set(calendar=calendar)
        if self.exists and not self.command.startswith("/"):
            raise ResourceUsageError(f"SystemdTimer[{self.timer}] needs a command with an absolute path, not {self.command!r}")
        if self.exists and not (calendar or self.on_boot):
            raise ResourceUsageError(f"SystemdTimer[{self.timer}] never runs; say calendar='daily' or on_boot='5min'")
        given = [self.command, *calendar, *self.service, *(getattr(self, name) for name in TEXTS)]
        if any("\n" in str(each) for each in given):
            raise ResourceUsageError(f"SystemdTimer[{self.timer}] takes values of one line each")

    def timer_text(self) -> str:
        """The lines of NAME.timer."""
        settings = [f"OnCalendar={each}" for each in self.calendar]
        more = (("OnBootSec", self.on_boot), ("OnUnitActiveSec", self.every), ("RandomizedDelaySec", self.random_delay))
        settings += [f"{name}={value}" for name, value in more if value is not None]
        settings += ["Persistent=true"] if self.persistent else []
        return self._text("[Timer]", *settings, "", "[Install]", "WantedBy=timers.target")

    def service_text(self) -> str:
        """The lines of NAME.service."""
        settings = ["Type=oneshot", f"ExecStart={self.command}", f"User={self.user}"]
        for name, value in self.service.items():
            settings += [f"{name}={each}" for each in (value if isinstance(value, (list, tuple)) else [value])]
        return self._text("[Service]", *settings)

    def _text(self, *lines: str) -> str:
        head = ("# written by cookline", "[Unit]", f"Description={self.description or self.timer}", "")
        return "\n".join([*head, *lines, ""])

    def _units(self) -> Dict[str, SystemdUnit]:
        """The service first: systemd refuses a timer without one."""
        if not self.exists:
            return {kind: SystemdUnit(f"{self.timer}.{kind}", exists=False) for kind in ("timer", "service")}
        texts = {"service": self.service_text(), "timer": self.timer_text()}
        return {kind: SystemdUnit(f"{self.timer}.{kind}", text, sensitive=self.sensitive) for kind, text in texts.items()}

    def _switch(self) -> Service:
        return Service(f"{self.timer}.timer", running=True, enabled=True, timeout=self.timeout)

    def current(self, host: System) -> State:
        state: State = {}
        for kind, unit in self._units().items():
            found = unit.current(host)
            state[kind] = found.get("content", "present") if found["exists"] else None
            state[f"{kind}_mode"] = found.get("mode")
        if self.exists:
            name = f"{self.timer}.timer"
            unit_found = units.find(host, name)
            state.update(running=unit_found is not None and unit_found.running, enabled=units.enabled(host, name))
        return state

    def desired(self) -> State:
        if not self.exists:
            return {"service": None, "timer": None}
        contents: State = {kind: unit.desired()["content"] for kind, unit in self._units().items()}
        return {**contents, "service_mode": "0644", "timer_mode": "0644", "running": True, "enabled": True}

    def owes(self, host: System) -> List[Action]:
        return [action for unit in self._units().values() for action in unit.owes(host)]

    def apply(self, host: System, changes: Changes) -> None:
        for kind, unit in self._units().items():
            if kind in changes or f"{kind}_mode" in changes:
                unit.apply(host, {"content": changes.get(kind), "mode": None})  # type: ignore[dict-item]
        if not self.exists:
            return
        if "timer" in changes and changes["timer"][0] is not None:
            units.systemctl(host, "stop", f"{self.timer}.timer", timeout=self.timeout)
        switch = self._switch()
        left = {name: (value, True) for name, value in switch.current(host).items() if not value}
        if left:
            switch.apply(host, left)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A timer that was made goes; one that was changed, or removed, comes back as its files were."""
        texts = {kind: host.read(f"{DIRECTORY}/{self.timer}.{kind}") for kind in ("service", "timer")}
        if texts["service"] is None or texts["timer"] is None:
            return SystemdTimer(self.timer, exists=False) if self.exists else None
        return FormerTimer(self.timer, service_was=texts["service"].decode(), timer_was=texts["timer"].decode())

    def predict(self, host: Overlay, changes: Changes) -> None:
        for unit in self._units().values():
            unit.predict(host, {})
        if self.exists:
            switch = self._switch()
            switch.predict(host, {"running": (None, True), "enabled": (None, True)})

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        if self.sensitive or not self.exists:
            return None
        texts = {"service": self.service_text(), "timer": self.timer_text()}
        paths = {kind: f"{DIRECTORY}/{self.timer}.{kind}" for kind in texts if kind in changes}
        diffs = [unified_diff(path, host.read(path) or b"", texts[kind].encode()) for kind, path in paths.items()]
        return "\n".join(diffs) or None

    def watched_paths(self) -> List[str]:
        return [f"{DIRECTORY}/{self.timer}.{kind}" for kind in ("service", "timer")] + self._switch().watched_paths()

    def declaration(self) -> Dict[str, Any]:
        names = ("timer", "command", "on_boot", "every", "user", "description", "persistent", "random_delay", "exists")
        fields = {name: getattr(self, name) for name in names}
        return {**fields, "calendar": list(self.calendar), "service": dict(self.service)}


class FormerTimer(SystemdTimer):
    """A timer as its two files were, for undo."""

    service_was: str = field(default="", kw_only=True)
    timer_was: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        self._set(calendar=())

    def timer_text(self) -> str:
        return self.timer_was

    def service_text(self) -> str:
        return self.service_was

    def declaration(self) -> Dict[str, Any]:
        return {"timer": self.timer, "service_was": self.service_was, "timer_was": self.timer_was}
