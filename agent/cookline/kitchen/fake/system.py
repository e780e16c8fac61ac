"""A System in memory: what a fresh host of a platform has, and what recipes have done to it since."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from cookline.errors import CommandError, ResourceError
from cookline.host import accounts, dpkg
from cookline.host.system import Completed, FileStatus, System
from cookline.host.units import Unit
from cookline.kitchen.fake.platform import Platform

# What a program that the test says nothing about answers to a question: no. One that changes something succeeds.
UNANSWERED = 1

Answer = str | int


@dataclass
class Node:
    """Something at a path."""

    kind: str
    mode: str = "0644"
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""


class Packages(dpkg.Status):
    """dpkg's status as a mapping of names to versions."""

    def __init__(self, versions: dict[str, str]) -> None:
        super().__init__("")
        self.versions = versions

    def find(self, name: str) -> dpkg.Installed | None:
        name = name.partition(":")[0]
        version = self.versions.get(name)
        return None if version is None else dpkg.Installed(name, "installed", version, "all")

    def installed_versions(self) -> dict[str, str]:
        return dict(self.versions)

    def provider(self, name: str) -> dpkg.Installed | None:
        return None

    def broken(self) -> list[str]:
        return []


class FakeSystem(System):
    """Nothing here touches this machine.

    answers     what programs say: {"nginx -t": 0, "hostname -f": "web1.example.org\\n"}; a number is an exit status
    ran         every program that was started, in order
    brought     what came so far that may have brought more than is known here: packages, commands
    """

    def __init__(self, platform: Platform, answers: Mapping[str, Answer] | None = None) -> None:
        super().__init__(apply=True)
        self.platform = platform
        self.answers = dict(answers or {})
        self.nodes: dict[str, Node | None] = {}
        self.versions = dict(platform.packages)
        self.users = dict(platform.passwd)
        self.groups = dict(platform.group)
        self.units = dict(platform.units)
        self.enabled: dict[str, bool] = {}
        self.ran: list[str] = []
        self.brought: list[str] = []
        self._batch = {"passwd": self.users, "group": self.groups, "units": self.units, "dpkg": Packages(self.versions)}

    # -- reading -------------------------------------------------------------------------------------------------------

    def remember(self, name: str, read: Callable[[], Any]) -> Any:
        """The batches that stand here are looked at as they are; others are made anew, as they are small."""
        if name == "enabled units":
            return (self.platform.enabled | {unit for unit, on in self.enabled.items() if on}) - {
                unit for unit, on in self.enabled.items() if not on
            }
        return self._batch[name] if name in self._batch else read()

    def node(self, path: str) -> Node | None:
        if path in self.nodes:
            return self.nodes[path]
        recorded = self.platform.paths.get(path)
        return None if recorded is None else Node(recorded[0], recorded[1], target=recorded[2])

    def read(self, path: str) -> bytes | None:
        found = self.node(path)
        if found is not None and found.kind == "link":
            found = self.node(found.target)
        return found.content if found is not None and found.kind == "file" else None

    def status(self, path: str) -> FileStatus | None:
        found = self.node(path)
        if found is None:
            return None
        return FileStatus(found.kind, found.mode, found.uid, found.gid, len(found.content), 1, 0.0)

    def real_path(self, path: str) -> str:
        """The link at the path itself followed, if it is one; links on the way are taken for directories."""
        found = self.node(path)
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), found.target)) if found and found.target else path

    def exists(self, path: str) -> bool:
        return self.node(path) is not None

    def link_target(self, path: str) -> str | None:
        found = self.node(path)
        return found.target if found is not None and found.kind == "link" else None

    def listing(self, path: str) -> list[str]:
        start = path.rstrip("/") + "/"
        every = {*self.platform.paths, *self.nodes}
        return sorted(
            {each[len(start) :].partition("/")[0] for each in every if each.startswith(start) and self.node(each)} - {""}
        )

    def has_bus(self) -> bool:
        return False

    # -- programs ------------------------------------------------------------------------------------------------------

    def query(self, command: str | Sequence[str], **options: Any) -> Completed:
        return self._answer(command, UNANSWERED)

    def run(self, command: str | Sequence[str], *, ok: Sequence[int] | None = (0,), **options: Any) -> Completed:
        done = self._answer(command, 0)
        if ok is not None and done.status not in ok:
            raise CommandError(done.command, done.status, done.stdout)
        return done

    def _answer(self, command: str | Sequence[str], otherwise: int) -> Completed:
        text = command if isinstance(command, str) else " ".join(command)
        self.ran.append(text)
        answer = self.answers.get(text, otherwise)
        return Completed(text, answer, "", "") if isinstance(answer, int) else Completed(text, 0, answer, "")

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(self, path: str, node: Node | None) -> None:
        """Raises ResourceError where the directory around it is missing, and nothing that came before may have brought it."""
        parent = path.rpartition("/")[0] or "/"
        if node is not None and self.node(parent) is None:
            if not self.brought:
                raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before")
            self.put(parent, Node("directory", "0755"))
        self.nodes[path] = node

    def write(
        self,
        path: str,
        content: bytes | BinaryIO,
        *,
        mode: str | None = None,
        uid: int | None = None,
        gid: int | None = None,
        verify: Callable[[str], None] | None = None,
        backup: bool = False,
    ) -> None:
        old = self.node(path)
        kept = (old.mode, old.uid, old.gid) if old is not None and old.kind == "file" else ("0644", 0, 0)
        owner = (kept[1] if uid is None else uid, kept[2] if gid is None else gid)
        data = content if isinstance(content, bytes) else content.read()
        self.put(path, Node("file", mode or kept[0], *owner, content=data))

    def keep_backup(self, path: str) -> str:
        return path

    def change_mode(self, path: str, mode: str) -> None:
        self._changed(path).mode = mode

    def change_owner(self, path: str, uid: int = -1, gid: int = -1) -> None:
        node = self._changed(path)
        node.uid, node.gid = (node.uid if uid == -1 else uid), (node.gid if gid == -1 else gid)

    def _changed(self, path: str) -> Node:
        node = self.nodes[path] = self.node(path) or Node("file")
        return node

    def make_directory(self, path: str, *, mode: str = "0755", uid: int = -1, gid: int = -1, parents: bool = False) -> None:
        if parents:
            parts = path.split("/")
            for above in ("/".join(parts[:count]) for count in range(2, len(parts))):
                if self.node(above) is None:
                    self.nodes[above] = Node("directory", "0755")
        self.put(path, Node("directory", mode))

    def make_link(self, path: str, target: str) -> None:
        self.put(path, Node("link", "0777", target=target))

    def remove(self, path: str) -> None:
        self.nodes[path] = None

    def remove_tree(self, path: str) -> None:
        for each in [path, *(f"{path}/{name}" for name in self.listing(path))]:
            self.nodes[each] = None

    def change(self, verb: str, path: str) -> NoReturn:
        """What has no meaning in memory must not reach this machine. Raises ResourceError."""
        raise ResourceError(f"a fake host cannot {verb} {path}")

    # -- what packages and commands bring ------------------------------------------------------------------------------

    def add_user(self, name: str, **values: Any) -> None:
        """The user, its group of the same name, and a number from where the system's own users are."""
        number = values.get("uid") or max((each.uid for each in self.users.values() if each.uid < 999), default=99) + 1
        if name not in self.groups:
            self.groups[name] = accounts.GroupEntry(name, number, ())
        gid = self.groups[name].gid
        self.users[name] = accounts.Account(
            name,
            number,
            gid,
            values.get("comment") or "",
            values.get("home") or f"/home/{name}",
            values.get("shell") or "/bin/sh",
        )

    def set_unit(self, name: str, running: bool) -> None:
        self.units[name] = Unit(name, "loaded", "active" if running else "inactive", "running" if running else "dead", "")
