"""Archive: what a tar or zip archive holds, unpacked into a directory."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from cookline.errors import CookbookError, ResourceError, ResourceUsageError, did_you_mean
from cookline.host.foresight import CannotKnow
from cookline.host.paths import STATE_DIRECTORY, read_private, write_private
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import Owner, absolute_path, uid_and_gid
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay
    from cookline.host.resources.scope import Scope

# What was unpacked where, one file for each destination.
RECORDS = STATE_DIRECTORY + "/archives"
STAGED = ".cookline-archive"
# Names of damaged members that a report shows.
SHOWN = 20


class Archive(Resource):
    """A tar archive (plain, gzip, bzip2, xz) or a zip archive, unpacked into a directory; one archive for each directory.

    path            the directory; it is made when it is not there. What else is in it stays
    source          path of the archive on the host (see RemoteFile), or a name below `files/` of the cookbook
    sha256          of the archive; another one is refused. Without it the archive itself says what shall be unpacked
    strip           leading parts of the members' names that are left out, as tar's --strip-components
    creates         a path, absolute or below `path`: unpack only when nothing is there, and look at nothing else afterwards
    owner, group    of all that is unpacked; None is root
    exists          False removes what was unpacked, and the directories that are empty then

    Unpacked beside its place and moved in when it is whole; a member with `..`, a link to outside, a device or a setuid bit is
    refused. When the archive changes, members that it does not have any more are removed.

    >>> Archive("/opt/tool", "/var/cache/tool-1.2.tar.gz", strip=1, creates="bin/tool").desired()
    {'created': True}
    """

    path: str
    source: str = ""
    sha256: Optional[str] = field(default=None, kw_only=True)
    strip: int = field(default=0, kw_only=True)
    creates: Optional[str] = field(default=None, kw_only=True)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(path=absolute_path("Archive", self.path))
        if self.exists and not self.source:
            raise ResourceUsageError(f"Archive[{self.path}] needs a source")
        if ".." in self.source.split("/"):
            raise ResourceUsageError(f"Archive[{self.path}] has a source with '..': {self.source!r}")
        if isinstance(self.strip, bool) or not isinstance(self.strip, int) or self.strip < 0:
            raise ResourceUsageError(f"Archive[{self.path}] strips a number of parts, not {self.strip!r}")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ResourceUsageError(f"Archive[{self.path}] needs a sha256 of 64 hexadecimal digits, not {self.sha256!r}")
        if self.creates is not None:
            creates = self.creates if self.creates.startswith("/") else f"{self.path}/{self.creates}"
            self._set(creates=absolute_path("Archive", creates))

    def bind(self, scope: Scope) -> Any:
        if not self.exists or self.source.startswith("/"):
            return self
        folder, _, name = self.source.rpartition("/")
        folder, name = (folder, name) if folder or ":" not in name else (name.partition(":")[0] + ":", name.partition(":")[2])
        paths = scope.files(folder)
        if name not in paths:
            raise CookbookError(f"the cookbook has no file {self.source!r} in its files/{did_you_mean(name, paths)}")
        return self._bound(_archive=paths[name])

    def _archive_path(self) -> str:
        return str(getattr(self, "_archive", self.source))

    # -- what is there -----------------------------------------------------------------------------------------------------

    def _record_path(self) -> str:
        return f"{RECORDS}/{content_hash(self.path.encode())[:32]}.json"

    def _record(self) -> Dict[str, Any]:
        """{"archive": sha256, "stamp", "strip", "members": {path: [size, mtime in ns]}}, of a directory both are None."""
        return read_private(self._record_path())

    def current(self, host: System) -> State:
        if not self.exists:
            return {"exists": bool(self._record())}
        if self.creates is not None:
            state: State = {"created": host.exists(self.creates)}
        else:
            record = self._record()
            state = {
                "archive": record.get("archive"),
                "strip": record.get("strip", self.strip),
                "damaged": self._damaged(record),
            }
        wanted = self.desired()
        if state != wanted or wanted.get("archive", "") is None:
            self._look_for_source(host, wanted)
        return state

    def _look_for_source(self, host: System, wanted: State) -> None:
        """Raises CannotKnow in a plan where an earlier resource brings the archive, ResourceError where nobody does."""
        if getattr(self, "_offline", False):
            return
        path = self._archive_path()
        if host.in_plan(path):
            raise CannotKnow(f"{self.source} is brought by something before it")
        if not host.exists(path):
            if host.unforeseen(path):
                raise CannotKnow(f"{self.source} does not exist yet; {host.unforeseen(path)} before it may bring it")
            hint = f"put a RemoteFile({self.source!r}, ..) before {self.name}"
            raise ResourceError(f"{self.source} does not exist", hint=hint)

    def _damaged(self, record: Mapping[str, Any]) -> List[str]:
        """Members that are missing or were written to since."""
        names = [name for name, seen in record.get("members", {}).items() if _stamp(f"{self.path}/{name}") != seen]
        return [*names[:SHOWN], *([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])]

    def desired(self) -> State:
        if not self.exists:
            return {"exists": False}
        if self.creates is not None:
            return {"created": True}
        return {"archive": self.sha256 or self._hash(), "strip": self.strip, "damaged": []}

    def _hash(self) -> Optional[str]:
        """Of the archive; read anew only when its size or time differ from the last time. None when there is none."""
        record, stamp = self._record(), _stamp(self._archive_path())
        if getattr(self, "_offline", False) or (stamp is not None and record.get("stamp") == stamp):
            return str(record.get("archive"))
        from cookline.host.download import file_hash

        return None if stamp is None else file_hash(self._archive_path())

    # -- making it so ------------------------------------------------------------------------------------------------------

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            self._remove(host, self._record().get("members", {}))
            host.remove(self._record_path())
            return
        from cookline.host.download import file_hash

        stamp, digest = _stamp(self._archive_path()), file_hash(self._archive_path())
        if self.sha256 not in (None, digest):
            raise ResourceError(f"{self.source} has sha256 {digest}, not {self.sha256}; it is not unpacked")
        self._make_directory(host)
        staged = host.scratch(f"{self.path}/{STAGED}-")
        try:
            members = self._place(host, self._unpack(host, staged))
        finally:
            host.remove_tree(staged)
        old = self._record().get("members", {})
        self._remove(host, {name: seen for name, seen in old.items() if name not in members})
        record = {"path": self.path, "archive": digest, "stamp": stamp, "strip": self.strip, "members": members}
        with host.change("note what is in", self.path):
            os.makedirs(RECORDS, mode=0o700, exist_ok=True)
            write_private(self._record_path(), json.dumps(record).encode())

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """What is unpacked where nothing was goes again; files that it replaces do not come back."""
        fresh = self.exists and not self._record() and not host.listing(self.path)
        return Archive(self.path, exists=False) if fresh else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        if not self.exists:
            self._remove(host, self._record().get("members", {}))
        elif host.in_plan(self._archive_path()) or not host.exists(self._archive_path()):
            self._make_directory(host)
            host.cannot_foresee(self.name, self.path)
        else:
            from cookline.host.resources import archive_foresight

            self._make_directory(host)
            uid, gid = (max(number, 0) for number in self._numbers(host))
            archive_foresight.unpacks(host, self._archive_path(), self.path, strip=self.strip, uid=uid, gid=gid)
        host.settle(self.name, self.desired(), self.path)

    def _numbers(self, host: System) -> Tuple[int, int]:
        uid, gid = uid_and_gid(host, self.owner, self.group)
        return -1 if uid is None else uid, -1 if gid is None else gid

    def _make_directory(self, host: System) -> None:
        status = host.status(host.real_path(self.path))
        if status is None:
            uid, gid = self._numbers(host)
            host.make_directory(self.path, uid=uid, gid=gid, parents=True)
        elif status.kind != "directory":
            raise ResourceError(f"{self.path} is a {status.kind}, not a directory", hint=f"remove it before {self.name}")

    def _unpack(self, host: System, staged: str) -> str:
        """The directory below `staged` that holds the members under their final names."""
        from cookline.host import archive as tar  # tarfile costs 5 ms, and a quiet run unpacks nothing

        uid, gid = self._numbers(host)
        host.make_directory(staged, mode="0700")
        host.make_directory(f"{staged}/0")
        with open(self._archive_path(), "rb") as file:
            is_zip = file.read(2) == b"PK"
        if is_zip:
            from cookline.host import zip_archive

            zip_archive.unpack(host, self._archive_path(), f"{staged}/0", uid=uid, gid=gid)
        else:
            tar.unpack(host, self._archive_path(), f"{staged}/0", uid=uid, gid=gid)
        for level in range(self.strip):
            self._strip(host, f"{staged}/{level}", f"{staged}/{level + 1}")
        tar.check_links(f"{staged}/{self.strip}")
        return f"{staged}/{self.strip}"

    def _strip(self, host: System, top: str, target: str) -> None:
        """Move what is in the directories of `top` into `target`; files of `top` itself are left out, as tar does."""
        host.make_directory(target)
        for directory in host.listing(top):
            for name in host.listing(f"{top}/{directory}") if not os.path.islink(f"{top}/{directory}") else []:
                if host.status(f"{target}/{name}") is not None:
                    raise ResourceError(f"{self.source} has several {name!r} after {self.strip} parts are left out")
                with host.change("unpack", target):
                    os.rename(f"{top}/{directory}/{name}", f"{target}/{name}")

    def _place(self, host: System, unpacked: str) -> Dict[str, Any]:
        """Move each file to its place, each in one step, when nothing is in the way of any of them."""
        members = list(_walk(unpacked))
        if not members:
            raise ResourceError(f"{self.source} has nothing in it" + (f" below {self.strip} directories" if self.strip else ""))
        for name, is_directory in members:
            self._refuse_obstacle(host, name, is_directory)
        os.sync()  # a power cut after the record is written must find the files whole
        seen: Dict[str, Any] = {}
        with host.change("unpack into", self.path):
            for name, is_directory in members:
                host.step()
                path = f"{self.path}/{name}"
                if not is_directory:
                    os.replace(f"{unpacked}/{name}", path)
                elif not os.path.isdir(path):
                    os.mkdir(path, 0o755)
                    os.chown(path, *self._numbers(host))
                seen[name] = _stamp(path)
        return seen

    def _refuse_obstacle(self, host: System, name: str, is_directory: bool) -> None:
        path = f"{self.path}/{name}"
        status = host.status(path)
        kind = "directory" if status is not None and os.path.isdir(path) and (is_directory or status.kind != "link") else "file"
        if status is not None and kind != ("directory" if is_directory else "file"):
            raise ResourceError(f"{path} is in the way: a {status.kind} stands there", hint=f"remove it before {self.name}")
        root = os.path.realpath(self.path)
        if not f"{os.path.realpath(os.path.dirname(path))}/".startswith(f"{root}/".replace("//", "/")):
            raise ResourceError(f"{os.path.dirname(path)} leads out of {self.path}; nothing is unpacked there")

    def _remove(self, host: System, members: Mapping[str, Any]) -> None:
        """Remove files of the list, then its directories that are empty, the deepest first."""
        for name in sorted(members, key=lambda name: (-name.count("/"), name)):
            path = f"{self.path}/{name}"
            status = host.status(path)
            if status is not None and (status.kind != "directory" or not host.listing(path)):
                host.remove(path)
        status = host.status(self.path)
        if not self.exists and status is not None and status.kind == "directory" and not host.listing(self.path):
            host.remove(self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.creates] if self.creates is not None else [self.path]

    def declaration(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in ("path", "source", "sha256", "strip", "creates", "exists", "sensitive")}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> Any:
        """Looks at what was unpacked, not at the archive, which may be gone by then."""
        resource = cls(**fields)
        resource._set(_offline=True)
        return resource


def _stamp(path: str) -> Any:
    """Size and time of a file, nothing of them of a directory; None when nothing is there."""
    import stat

    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [None, None] if stat.S_ISDIR(seen.st_mode) else [seen.st_size, seen.st_mtime_ns]


def _walk(top: str) -> Iterator[Tuple[str, bool]]:
    """(path below `top`, whether it is a directory) of all in it, directories before what is in them."""
    for parent, directories, names in os.walk(top):
        below = "" if parent == top else parent[len(top) + 1 :] + "/"
        links = [name for name in directories if os.path.islink(f"{parent}/{name}")]
        for name in sorted(set(directories) - set(links)):
            yield below + name, True
        for name in sorted([*links, *names]):
            yield below + name, False
