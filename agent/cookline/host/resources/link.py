"""Link: a symbolic link."""

from __future__ import annotations

import os
from typing import List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.system import System


class Link(Resource):
    """A symbolic link; switched in one step, so that nobody sees it missing.

    path        absolute path of the link itself
    to          what it points to, as written: absolute, or relative to the link's directory; it need not exist
    exists      False removes the link

    >>> Link("/usr/local/bin/shop", "/srv/www/shop/current/bin/shop")
    Link('/usr/local/bin/shop', to='/srv/www/shop/current/bin/shop')
    """

    path: str
    to: str = ""
    exists: bool = field(default=True, kw_only=True)

    needs_services = False

    def __post_init__(self) -> None:
        self._set(path=absolute_path("Link", self.path), to=os.fspath(self.to))
        if self.exists and (not self.to or "\0" in self.to):
            raise ResourceUsageError(f"Link[{self.path}] needs `to`, what it points to")

    def current(self, host: System) -> State:
        status = host.status(self.path)
        if status is None:
            if not self.exists and host.unforeseen(self.path):
                raise CannotKnow(f"{self.path} does not exist yet; {host.unforeseen(self.path)} before it may bring it")
            return dict(ABSENT)
        if status.kind != "link":
            return {"exists": True, "kind": status.kind}
        return {"exists": True, "to": host.link_target(self.path)}

    def desired(self) -> State:
        return {"exists": True, "to": self.to} if self.exists else dict(ABSENT)

    def apply(self, host: System, changes: Changes) -> None:
        status = host.status(self.path)
        if status is not None and status.kind != "link":
            raise ResourceError(f"{self.path} is a {status.kind}, not a link", hint=f"remove it before {self.name}")
        if not self.exists:
            host.remove(self.path)
        elif host.status(os.path.dirname(self.path)) is None:
            parent = os.path.dirname(self.path)
            raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before")
        else:
            host.make_link(self.path, self.to)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """What stood there comes back: another aim, or nothing."""
        return path_as_it_is(host, self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.path]
