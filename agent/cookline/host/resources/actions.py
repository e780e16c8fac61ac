"""Restart, Reload, Run and Notify: what is done once after a change, by `later=` or `now=`."""

from __future__ import annotations

from typing import Optional, Sequence, Union

from cookline.errors import ResourceUsageError
from cookline.host import units
from cookline.host.resources.base import Action, field
from cookline.host.system import System


class Restart(Action):
    """Restart a unit of systemd, after it has read its files anew where they changed.

    >>> Restart("nginx").name
    'Restart[nginx]'
    """

    unit: str
    timeout: Optional[float] = field(default=None, kw_only=True)

    def gone(self, host: System) -> str:
        return _without_unit(host, self.unit)

    def perform(self, host: System) -> None:
        units.systemctl(host, "restart", units.full_name(self.unit), timeout=self.timeout)


class Reload(Action):
    """Make a unit read its configuration; one that cannot, or that does not run, is restarted.

    >>> Reload("haproxy").name
    'Reload[haproxy]'
    """

    unit: str
    timeout: Optional[float] = field(default=None, kw_only=True)

    def gone(self, host: System) -> str:
        return _without_unit(host, self.unit)

    def perform(self, host: System) -> None:
        units.systemctl(host, "reload-or-restart", units.full_name(self.unit), timeout=self.timeout)


class Run(Action):
    """Run a command. A string goes to /bin/sh, a list runs without a shell.

    user        who runs it; None is root
    cwd         its directory
    timeout     seconds, then it is killed

    >>> Run("newaliases").name
    'Run[newaliases]'
    """

    command: Union[str, Sequence[str]]
    user: Optional[str] = field(default=None, kw_only=True)
    cwd: str = field(default="/", kw_only=True)
    timeout: Optional[float] = field(default=None, kw_only=True)

    def perform(self, host: System) -> None:
        host.run(self.command, user=self.user, cwd=self.cwd, timeout=self.timeout or 3600.0)


class Notify(Action):
    """Tell people: a line in the run's report, and a record that the agent's reports carry to the controller.

    level       info, warning or error

    >>> Notify("the certificate was renewed").name
    'Notify[the certificate was renewed]'
    """

    text: str
    level: str = field(default="info", kw_only=True)

    def __post_init__(self) -> None:
        if self.level not in ("info", "warning", "error"):
            raise ResourceUsageError(f"Notify has level {self.level!r}; there are info, warning and error")

    def perform(self, host: System) -> None:
        """The record is for later: a spool that refuses it is told of in the report, and is no reason to fail."""
        from cookline.host import paths
        from cookline.host.resident.settings import load
        from cookline.host.resident.spool import Spool

        masked = host.on_tell(self.text, self.level)
        if host.status(paths.AGENT_SETTINGS) is None:
            return  # no agent is set up here, so nobody would carry the record away
        settings = load()
        spool = Spool(paths.SPOOL, settings.spool_bytes, settings.instance_id)
        if not spool.append("log", {"level": self.level, "text": masked, "from": "recipe"}):
            host.on_tell(f"the agent's spool did not take the notification: {spool.failure}", "warning")


def _without_unit(host: System, unit: str) -> str:
    name = units.full_name(unit)
    return "" if units.find(host, name) is not None else f"the unit {name} is gone"
