"""RemoteDirectory: a folder out of a cookbook's files/."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.absent import refuse_protected, remove_tree
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.directory import Directory
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.ownership import Owner, absolute_path, normal_mode, uid_and_gid
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.resources.scope import Scope

# How a file's differences are named: "site.conf" is its content, "site.conf: mode" its mode.
MARK = ": "


class RemoteDirectory(Resource):
    """A folder with all that is in it, copied out of `files/` of this cookbook, or of another as "cookbook:name".

    path            absolute
    source          name below `files/`; by default the last part of the path
    purge           remove what the folder of the cookbook does not have
    mode            of the files, four octal digits; None leaves it (a new file gets 0755 when the cookbook's is executable,
                    else 0644)
    directory_mode  of directories that are made: 0755 by default
    owner, group    name or number, of files and of directories that are made; None leaves it (what is new gets root)
    backup          keep the last five contents of each file
    files           filled in from the cookbook: path -> sha256
    exists          False removes the files and the directories that are empty then; with purge the whole tree

    >>> RemoteDirectory("/etc/nginx/snippets", purge=True)
    RemoteDirectory('/etc/nginx/snippets', source='snippets', purge=True)
    """

    path: str
    source: Optional[str] = None
    purge: bool = field(default=False, kw_only=True)
    mode: Any = field(default=None, kw_only=True)
    directory_mode: Any = field(default="0755", kw_only=True)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    backup: bool = field(default=True, kw_only=True)
    files: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        path = absolute_path("RemoteDirectory", self.path)
        self._set(path=refuse_protected("RemoteDirectory", path) if self.purge else path)
        self._set(source=self.source or os.path.basename(path), mode=normal_mode("RemoteDirectory", self.mode))
        self._set(directory_mode=normal_mode("RemoteDirectory", self.directory_mode))
        if not isinstance(self.files, Mapping):
            raise ResourceUsageError(f"{self.name}: `files` is filled in from the cookbook")

    def bind(self, scope: Scope) -> Any:
        paths = scope.files(str(self.source))
        hashes = {}
        for name, path in paths.items():
            with open(path, "rb") as file:
                hashes[name] = content_hash(file.read())
        return self._bound(files=hashes, _sources=dict(paths))

    def _each(self) -> Iterator[Tuple[str, Copy]]:
        sources: Dict[str, str] = getattr(self, "_sources", {})
        for name, digest in self.files.items():
            yield (
                name,
                Copy(
                    f"{self.path}/{name}",
                    source=sources.get(name, ""),
                    mode=self.mode,
                    owner=self.owner,
                    group=self.group,
                    backup=self.backup,
                    sensitive=self.sensitive,
                    content_sha256=digest,
                ),
            )

    def current(self, host: System) -> State:
        if not self.exists and self.purge:
            return {"exists": host.status(self.path) is not None}
        if not self.exists:
            return {name: None if host.status(f"{self.path}/{name}") is None else "file" for name in self.files}
        status = host.status(host.real_path(self.path))
        state: State = {"exists": status is not None and status.kind == "directory"}
        for name, copy in self._each():
            seen = copy.current(host)
            state[name] = seen.get("content") or seen.get("kind")
            state.update({name + MARK + each: seen[each] for each in ("mode", "owner", "group") if each in seen})
        if self.purge:
            state["others"] = self._others(host)
        return state

    def _others(self, host: System, below: str = "") -> List[str]:
        """What the cookbook does not have; of a whole directory its own name alone, with a slash."""
        found = []
        for each in host.listing(f"{self.path}/{below}"):
            name = below + each
            status = host.status(f"{self.path}/{name}")
            if status is None or name in self.files:
                continue
            if status.kind != "directory":
                found.append(name)
            elif not any(known.startswith(f"{name}/") for known in self.files):
                found.append(f"{name}/")
            else:
                found += self._others(host, f"{name}/")
        return found

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT) if self.purge else dict.fromkeys(self.files)
        state: State = {"exists": True}
        for name, copy in self._each():
            state[name] = copy.content_sha256
            state.update(
                {name + MARK + each: value for each, value in copy.desired().items() if each not in ("exists", "content")}
            )
        if self.purge:
            state["others"] = []
        return state

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            self._remove(host)
            return
        for name in changes.get("others", ((), ()))[0] or ():
            path = f"{self.path}/{name}"
            remove_tree(host, path.rstrip("/")) if name.endswith("/") else host.remove(path)
        self._make_directory(host, self.path)
        differing = {change.partition(MARK)[0] if change not in self.files else change for change in changes}
        for name, copy in self._each():
            if name in differing:
                self._make_directory(host, os.path.dirname(copy.path))
                copy.converge(host)

    def _make_directory(self, host: System, path: str) -> None:
        """The directory and its parents, down from the top; a link on the way could lead anywhere."""
        status = host.status(path)
        if status is not None and status.kind == "link" and path == self.path:
            status = host.status(host.real_path(path))
        if status is not None and status.kind != "directory":
            raise ResourceError(f"{path} is a {status.kind}, not a directory", hint=f"remove it before {self.name}")
        if status is not None:
            if path != self.path and len(path) > len(self.path):
                self._make_directory(host, os.path.dirname(path))
            return
        if path != self.path:
            self._make_directory(host, os.path.dirname(path))
        uid, gid = uid_and_gid(host, self.owner, self.group)
        numbers = {"uid": -1 if uid is None else uid, "gid": -1 if gid is None else gid}
        host.make_directory(path, mode=self.directory_mode, parents=path == self.path, **numbers)

    def _remove(self, host: System) -> None:
        if self.purge:
            remove_tree(host, self.path)
            return
        for _, copy in self._each():
            host.remove(copy.path)
        parents = {os.path.dirname(f"{self.path}/{name}") for name in self.files}
        while parents:
            deepest = max(parents, key=len)
            parents.remove(deepest)
            status = host.status(deepest)
            if status is not None and status.kind == "directory" and not host.listing(deepest):
                host.remove(deepest)
                if deepest != self.path:
                    parents.add(os.path.dirname(deepest))

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A folder that was not there goes as a whole; otherwise the last five contents of each file are in the backups."""
        return Directory(self.path, exists=False, recursive=True) if host.status(self.path) is None else None

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        """Of all files one after the other; binary and large ones are left out as they are for one file."""
        if not self.exists or self.sensitive:
            return None
        changed = [copy for name, copy in self._each() if name in changes]
        diffs = [copy.diff(host, {"content": changes[copy.path[len(self.path) + 1 :]]}) for copy in changed[:MOST_DIFFS]]
        return "\n".join(each for each in diffs if each) or None

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [f"{self.path}/{name}" for name in self.files] if self.exists else [self.path]

    def declaration(self) -> Dict[str, Any]:
        names = ("path", "source", "purge", "mode", "owner", "group", "exists", "sensitive")
        return {**{name: getattr(self, name) for name in names}, "files": dict(self.files)}


# A first run of a large folder shows the beginning; the report names every file anyhow.
MOST_DIFFS = 20


class Copy(ManagedFile):
    """One file of the folder; `source` is where the cookbook's tree has it."""

    source: str = ""

    def content_bytes(self) -> bytes:
        with open(self.source, "rb") as file:
            return file.read()

    def converge(self, host: System) -> None:
        """As the engine does it: look, and make what differs so."""
        from cookline.host.resources.base import differences

        wanted = self
        if self.mode is None and host.status(host.real_path(self.path)) is None:
            wanted = self.replace(mode="0755" if os.access(self.source, os.X_OK) else "0644")
        wanted.apply(host, differences(wanted.current(host), wanted.desired()))
