"""Restart, Reload and Run: what is done once after a change, by `later=` or `now=`."""

from __future__ import annotations

from typing import Optional, Sequence, Union

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

    def perform(self, host: System) -> None:
        units.systemctl(host, "restart", units.full_name(self.unit), timeout=self.timeout)


class Reload(Action):
    """Make a unit read its configuration; one that cannot, or that does not run, is restarted.

    >>> Reload("haproxy").name
    'Reload[haproxy]'
    """

    unit: str
    timeout: Optional[float] = field(default=None, kw_only=True)

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
