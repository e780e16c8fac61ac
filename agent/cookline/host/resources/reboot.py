"""Reboot: the host starts anew, and the run goes on after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay


class Reboot(Resource):
    """Reboot the host at once, once in a run. After the boot the same run goes on from the top of its recipes: what is done
    already is found unchanged, this Reboot too. What the run owed (`later=`) it still owes.

    reason      what it is for; two reboots for two reasons are two reboots
    if_exists   a path: the host is rebooted only when something is there, as /run/reboot-required

    >>> Reboot("a new kernel", if_exists="/run/reboot-required").desired()
    {'rebooted': True}
    """

    reason: str
    if_exists: Optional[str] = field(default=None, kw_only=True)

    has_state = False
    ends_attempt = True

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason.strip() or "\n" in self.reason:
            raise ResourceUsageError(f"Reboot needs a reason of one line, not {self.reason!r}")
        if self.if_exists is not None:
            self._set(if_exists=absolute_path("Reboot", self.if_exists))

    def current(self, host: System) -> State:
        """Nothing to do counts as done."""
        wanted = self.if_exists is None or host.status(self.if_exists) is not None
        return {"rebooted": not wanted or self.name in host.known.get("rebooted", ())}

    def desired(self) -> State:
        return {"rebooted": True}

    def apply(self, host: System, changes: Changes) -> None:
        """The engine ends the attempt and reboots; here is only asked whether it can."""
        if not os.path.isdir("/run/systemd/system"):
            raise ResourceError("this host does not run systemd, so cookline can neither reboot it nor go on afterwards")

    def predict(self, host: Overlay, changes: Changes) -> None:
        """The same machine comes back."""
