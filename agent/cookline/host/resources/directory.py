"""Directory: a directory with mode and owner."""

from __future__ import annotations

import os
from typing import Any, List, Optional

from cookline.errors import ResourceError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import (
    Owner,
    absolute_path,
    apply_ownership,
    check_names,
    desired_ownership,
    normal_mode,
    read_ownership,
    restore_context,
)
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.system import System


class Directory(Resource):
    """A directory. Its content is not managed.

    path            absolute; a link there is followed
    mode            four octal digits; None leaves it (a new directory gets 0755)
    owner, group    name or number; None leaves it (a new directory gets root)
    parents         make missing parents too, 0755 root
    recursive       with exists=False, remove all that is in it too
    exists          False removes it

    >>> Directory("/srv/www", mode="0755", owner="root")
    Directory('/srv/www', mode='0755', owner='root')
    """

    path: str
    mode: Any = field(default=None, kw_only=True)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    parents: bool = field(default=False, kw_only=True)
    recursive: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    needs_services = False

    def __post_init__(self) -> None:
        self._set(path=absolute_path("Directory", self.path), mode=normal_mode("Directory", self.mode))

    def current(self, host: System) -> State:
        status = host.status(self.path)
        if status is not None and status.kind == "link" and self.exists:
            status = host.status(host.real_path(self.path))
        if status is None:
            check_names(self, host)
            if host.unforeseen(self.path):
                raise CannotKnow(f"{self.path} does not exist yet; {host.unforeseen(self.path)} before it may bring it")
            return dict(ABSENT)
        if status.kind != "directory":
            return {"exists": self.exists is False, "kind": status.kind}
        return {"exists": True, **read_ownership(self, host, status)}

    def desired(self) -> State:
        return {"exists": True, **desired_ownership(self)} if self.exists else dict(ABSENT)

    def apply(self, host: System, changes: Changes) -> None:
        target = host.real_path(self.path)
        status = host.status(target)
        if status is not None and status.kind != "directory":
            raise ResourceError(f"{self.path} is a {status.kind}, not a directory", hint=f"remove it before {self.name}")
        if not self.exists:
            self._remove(host)
            return
        if status is None:
            self._make(host)
            changes = {name: (None, value) for name, value in self.desired().items()}
        apply_ownership(self, host, target, changes)

    def _make(self, host: System) -> None:
        parent = os.path.dirname(self.path)
        if not self.parents and host.status(parent) is None:
            raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before, or say parents=True")
        host.make_directory(self.path, mode=self.mode or "0755", parents=self.parents)
        restore_context(host, self.path)

    def _remove(self, host: System) -> None:
        status = host.status(self.path)
        if self.recursive and status is not None and status.kind == "directory":
            host.remove_tree(self.path)
        elif host.listing(self.path) and status is not None and status.kind == "directory":
            raise ResourceError(f"{self.path} is not empty", hint="say recursive=True to remove all that is in it")
        else:
            host.remove(self.path)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """Mode and owner come back, and a directory that was made goes when it is empty; what was removed with it does not."""
        before = host.status(self.path)
        if before is None:
            return Directory(self.path, exists=False)
        if not self.exists and host.listing(self.path):
            return None
        return path_as_it_is(host, self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.path]
