"""PackageUpdates: no updates wait on this host."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from cookline.errors import ResourceUsageError
from cookline.host import updates
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import System


class PackageUpdates(Resource):
    """Newer versions of what is installed, of the security archives alone or all of them. Nothing is removed for them, packages
    that are held stay, and no release is upgraded to the next.

    which       "security" or "all"
    exclude     names of packages that are left as they are
    lists_age   seconds: apt's lists are read anew when they are older; a plan takes them as they are
    report_reboot   warn in the run's log when the host needs a reboot afterwards (see the resource Reboot)

    >>> PackageUpdates("security").desired()
    {'updates': []}
    """

    which: str = "security"
    exclude: Sequence[str] = field(default=(), kw_only=True)
    lists_age: float = field(default=3600.0, kw_only=True)
    report_reboot: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if self.which not in ("security", "all"):
            raise ResourceUsageError(f"PackageUpdates takes 'security' or 'all', not {self.which!r}")
        self._set(exclude=(self.exclude,) if isinstance(self.exclude, str) else tuple(self.exclude))

    def _waiting(self, host: System) -> List[updates.Update]:
        return [each for each in updates.waiting(host, self.which == "security") if each.name not in self.exclude]

    def current(self, host: System) -> State:
        if host.apply:
            updates.refresh(host, self.lists_age)
        return {"updates": [str(each) for each in self._waiting(host)]}

    def desired(self) -> State:
        return {"updates": []}

    def apply(self, host: System, changes: Changes) -> None:
        names = [each.name for each in self._waiting(host)]
        if names:
            updates.install(host, names, self.which == "security", self.timeout)
        reason = updates.reboot_required(host) if self.report_reboot else None
        if reason is not None:
            host.on_tell(f"this host needs a reboot: {reason}", "warning")

    def declaration(self) -> Dict[str, Any]:
        return {"which": self.which, "exclude": list(self.exclude), "report_reboot": self.report_reboot}
