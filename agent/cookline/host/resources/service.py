"""Service: whether a unit of systemd runs, and whether it starts at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import units
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay


class Service(Resource):
    """A unit that a package or SystemdUnit brought. To remove a service: Service(name, running=False, enabled=False).

    unit        "nginx" (means nginx.service), "backup.timer", "getty@tty1.service"
    running     True or False; None does not manage it
    enabled     whether it starts at boot; None does not manage it
    masked      True makes it impossible to start; None does not manage it

    systemd is told to reload its files before, when it says that they changed.

    >>> Service("nginx", running=True, enabled=True)
    Service('nginx', running=True, enabled=True)
    >>> Service("nginx", running=True).unit_name
    'nginx.service'
    """

    unit: str
    running: Optional[bool] = field(default=None, kw_only=True)
    enabled: Optional[bool] = field(default=None, kw_only=True)
    masked: Optional[bool] = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or not self.unit or "/" in self.unit or self.unit.startswith("-"):
            raise ResourceUsageError(f"Service needs the name of a unit, not {self.unit!r}")
        if self.running is None and self.enabled is None and self.masked is None:
            raise ResourceUsageError(f"Service[{self.unit}] manages nothing; say running=True, enabled=True or both")

    @property
    def unit_name(self) -> str:
        return units.full_name(self.unit)

    def awaits(self, started: Resource) -> bool:
        """Others may go on starting meanwhile; what is switched off here must not be looked at afterwards."""
        off = self.running is False or self.enabled is False or bool(self.masked)
        return off or not isinstance(started, Service) or started.unit_name == self.unit_name

    def current(self, host: System) -> State:
        unit = units.find(host, self.unit_name)
        if unit is None and host.is_plan:
            self._not_there_in_plan(host)
        package = host.brought_by(units.unit_file(host, self.unit_name))
        if package and self.unit_name not in host.planned_units:
            raise CannotKnow(f"package {package} brings unit {self.unit_name}, and may start and enable it")
        state: State = {}
        if self.running is not None:
            state["running"] = unit is not None and unit.running
        if self.enabled is not None:
            state["enabled"] = units.enabled(host, self.unit_name)
        if self.masked is not None:
            state["masked"] = units.masked(host, self.unit_name)
        return state

    def _not_there_in_plan(self, host: System) -> None:
        cause = host.unforeseen()
        if cause:
            raise CannotKnow(f"unit {self.unit_name} does not exist yet; {cause} before it may bring it")
        if self.running or self.enabled:
            raise units.unknown(host, self.unit_name)

    def desired(self) -> State:
        managed = {"running": self.running, "enabled": self.enabled, "masked": self.masked}
        return {name: value for name, value in managed.items() if value is not None}

    def apply(self, host: System, changes: Changes) -> None:
        name = self.unit_name
        if units.find(host, name) is None and (self.running or self.enabled):
            raise units.unknown(host, name)
        if "masked" in changes and not self.masked:
            self._systemctl(host, "unmask")
        self._refuse_impossible(host, changes)
        # For a script of /etc/init.d systemctl hands `enable` on and forgets the `--now`.
        both = "running" in changes and self.running == self.enabled and units.unit_file(host, name) is not None
        together = ("--now",) if both else ()
        if "enabled" in changes:
            self._systemctl(host, "enable" if self.enabled else "disable", *together)
        if "running" in changes and not ("enabled" in changes and together):
            self._systemctl(host, "start" if self.running else "stop")
        if "masked" in changes and self.masked:
            self._systemctl(host, "mask")

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """It runs, starts at boot and is masked as before."""
        return Service(self.unit, **{name: before for name, (before, _) in changes.items()})

    def predict(self, host: Overlay, changes: Changes) -> None:
        """The links of systemctl, and whether the unit runs."""
        name = units.real_name(host, self.unit_name)
        if self.masked is False and units.masked(host, name):
            host.remove(f"{units.LINK_PATHS[0]}/{name}")
        self._refuse_impossible(host, changes)
        if "enabled" in changes:
            switch_on(host, name) if self.enabled else switch_off(host, name)
        if self.running is not None:
            host.planned_units[name] = self.running
        if "masked" in changes and self.masked:
            host.make_link(f"{units.LINK_PATHS[0]}/{name}", "/dev/null")

    def _refuse_impossible(self, host: System, changes: Changes) -> None:
        name = self.unit_name
        if units.masked(host, name) and (self.running or self.enabled):
            raise ResourceError(f"{name} is masked, so it can neither run nor be enabled", hint="say masked=False to unmask it")
        if "enabled" in changes and self.enabled and units.file_state(host, name) == "static":
            raise ResourceError(f"{name} is static: it has no [Install] section, so it cannot be enabled")

    def _systemctl(self, host: System, verb: str, *options: str) -> None:
        units.systemctl(host, verb, self.unit_name, *options, timeout=self.timeout)

    def watched_paths(self) -> List[str]:
        """systemd keeps a link for each unit that is up, and enabling makes one in the directory of what wants the unit."""
        up = [f"/run/systemd/units/invocation:{self.unit_name}"] if self.running is not None else []
        places = ("/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants")
        return up + [f"{place}/{self.unit_name}" for place in places]


def switch_on(host: Overlay, name: str) -> None:
    """What `systemctl enable` would leave, for a plan."""
    for link in units.wanting_links(host, name):
        directory = link.rpartition("/")[0]
        if host.status(directory) is None:
            host.make_directory(directory)
        host.make_link(link, units.unit_file(host, name) or "")


def switch_off(host: Overlay, name: str) -> None:
    """What `systemctl disable` would leave, for a plan."""
    for link in units.standing_links(host, name):
        host.remove(link)
