"""Group: a group in /etc/group."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from cookline.errors import ResourceUsageError
from cookline.host import accounts
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")


class Group(Resource):
    """A group.

    group       its name
    gid         number; None leaves it
    members     the users that are in it, no more and no fewer; None leaves them
    system      take a number from the system's range
    exists      False removes the group

    >>> Group("deployers", members=["ops", "anna"]).desired()
    {'exists': True, 'members': ['anna', 'ops']}
    """

    group: str
    gid: Optional[int] = field(default=None, kw_only=True)
    members: Optional[Sequence[str]] = field(default=None, kw_only=True)
    system: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    needs_services = False

    def __post_init__(self) -> None:
        if not isinstance(self.group, str) or not NAME.fullmatch(self.group):
            raise ResourceUsageError(f"Group needs a name of small letters, digits, _ and -, not {self.group!r}")
        if isinstance(self.members, str):
            raise ResourceUsageError(f"Group[{self.group}] needs a list of members, not {self.members!r}")
        if self.members is not None:
            self._set(members=sorted(set(self.members)))

    def current(self, host: System) -> State:
        found = accounts.groups(host).get(self.group)
        cause = host.unforeseen_account(self.group) if found is None else ""
        if cause:
            raise CannotKnow(f"group {self.group} does not exist yet; {cause} before it may make it")
        return dict(ABSENT) if found is None else {"exists": True, "gid": found.gid, "members": sorted(found.members)}

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT)
        managed: Dict[str, Any] = {"gid": self.gid, "members": self.members}
        return {"exists": True, **{name: value for name, value in managed.items() if value is not None}}

    def apply(self, host: System, changes: Changes) -> None:
        number = ["--gid", str(self.gid)] if self.gid is not None else []
        if not self.exists:
            host.run(["groupdel", "--", self.group])
            return
        if "exists" in changes:
            host.run(["groupadd", *number, *(["--system"] if self.system else []), "--", self.group])
        elif "gid" in changes:
            host.run(["groupmod", *number, "--", self.group])
        if self.members is not None and "members" in changes:
            host.run(["gpasswd", "--members", ",".join(self.members), self.group])

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A group that was made goes; number and members come back."""
        old = accounts.groups(host).get(self.group)
        if old is None:
            return Group(self.group, exists=False)
        return Group(self.group, gid=old.gid, members=list(old.members))

    def predict(self, host: Overlay, changes: Changes) -> None:
        known = accounts.groups(host)
        old = known.get(self.group)
        gid = (
            self.gid if self.gid is not None else old.gid if old else accounts.free_number(each.gid for each in known.values())
        )
        members = self.members if self.members is not None else old.members if old else ()
        line = f"{self.group}:x:{gid}:{','.join(members)}" if self.exists else None
        host.edit("/etc/group", lambda text: accounts.with_line(text, self.group, line))

    def watched_paths(self) -> List[str]:
        return ["/etc/group"]
