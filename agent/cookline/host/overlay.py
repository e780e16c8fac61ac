"""The machine as a plan expects it to be: what stands there, and over it what earlier resources of the plan would have done.

A resource's `predict` leaves its changes here in memory; later resources read them as if they had been made. Nothing is
written. What only a program knows (what a package's scripts do, what a command leaves) is noted as unforeseen, for the whole
machine or for what lies below one path: something that is missing there may be brought by it, and the plan says `cannot know`
instead of guessing.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, NamedTuple, NoReturn, Optional, Tuple, Union

from cookline.errors import ResourceError
from cookline.host.foresight import CannotKnow
from cookline.host.system import FileStatus, System

# As many links as the kernel follows in one path (path_resolution(7)).
MOST_LINKS = 40


class Node(NamedTuple):
    """Something that will stand at a path; `load` gives the content when somebody asks for it, and may raise CannotKnow.

    `kind` is a FileStatus's, or "unknown". `whole` hides what the machine has below: a directory that was there before is not
    whole. `package` is the package that brings it.
    """

    kind: str
    mode: str = "0644"
    uid: int = 0
    gid: int = 0
    load: Callable[[], bytes] = bytes
    target: str = ""
    package: str = ""
    whole: bool = True


class Unforeseen(NamedTuple):
    """A resource that may do more than is known here: below a path, or anywhere but below some.

    `scripts` is the text of what it runs, where that is known: no account is made that it does not name.
    """

    name: str
    below: Optional[str]
    spares: Tuple[str, ...]
    scripts: Optional[str]

    def reaches(self, path: Optional[str]) -> bool:
        if self.below is not None:
            return path is not None and is_below(path, self.below)
        return path is None or not any(is_below(path, spared) for spared in self.spares)


class Overlay(System):
    """`nodes` maps a path, without links, to what the plan puts there, None where it removes something.

    planned_units   unit -> whether it runs by then, None where there is no such unit any more
    touched         every path that the plan changed, in order
    names           what has been announced to change: "User[shop]", ..
    """

    is_plan = True

    def __init__(self, on_wait: Optional[Callable[[str, str], None]] = None) -> None:
        super().__init__(apply=False, on_wait=on_wait)
        self.nodes: Dict[str, Optional[Node]] = {}
        self.touched: List[str] = []
        self.names: List[str] = []
        self.planned_units: Dict[str, Optional[bool]] = {}
        self._unforeseen: List[Unforeseen] = []
        self._settled: Dict[str, Tuple[Mapping[str, Any], Optional[str], int, int]] = {}

    # -- what is not known -----------------------------------------------------------------------------------------------

    def cannot_foresee(
        self, name: str, below: Optional[str] = None, *, spares: Tuple[str, ...] = (), scripts: Optional[str] = None
    ) -> None:
        """Note that a resource will bring more than is known here; below one path, or anywhere but below `spares`."""
        self._unforeseen.append(Unforeseen(name, below and self.real_path(below), spares, scripts))

    def unforeseen(self, path: Optional[str] = None) -> str:
        place = None if path is None else self._place(path)
        return next((each.name for each in self._unforeseen if each.reaches(place)), "")

    def unforeseen_account(self, name: str) -> str:
        word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
        for each in self._unforeseen:
            if each.below is None and (each.scripts is None or word.search(each.scripts)):
                return each.name
        return ""

    def settle(self, name: str, desired: Mapping[str, Any], below: Optional[str]) -> None:
        """Note that a resource, whose state cannot be read here, will have the desired one from now on."""
        self._settled[name] = (dict(desired), below and self._place(below), len(self.touched), len(self._unforeseen))

    def is_settled(self, name: str, desired: Mapping[str, Any]) -> bool:
        """Whether an earlier resource of this name brings the desired state, and nothing since may have changed that."""
        state, below, touched, unforeseen = self._settled.get(name, ({}, None, 0, 0))
        if not state or state != desired or any(each.below is None for each in self._unforeseen[unforeseen:]):
            return False
        return below is None or not any(is_below(path, below) or is_below(below, path) for path in self.touched[touched:])

    def in_plan(self, path: str) -> bool:
        place = self._place(path)
        return place in self.nodes and self.nodes[place] is not None

    # -- reading -------------------------------------------------------------------------------------------------------

    def _planned(self, place: str) -> "tuple[bool, Optional[Node]]":
        """Whether the plan says anything of a path without links, and what."""
        if place in self.nodes:
            return True, self.nodes[place]
        for parent in _parents(place):
            if parent in self.nodes:
                node = self.nodes[parent]
                if node is None or node.whole:
                    return True, None
        return False, None

    def real_path(self, path: str) -> str:
        """Raises ResourceError for links that lead to themselves."""
        left, done, followed = path.split("/")[::-1], "", 0
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                done = os.path.dirname(done).rstrip("/")
                continue
            place = f"{done}/{name}"
            target = self._target(place)
            if target is None:
                done = place
                continue
            followed += 1
            if followed > MOST_LINKS:
                raise ResourceError(f"{path} leads through links that lead to themselves")
            left += target.split("/")[::-1]
            done = "" if target.startswith("/") else done
        return done or "/"

    def _target(self, place: str) -> Optional[str]:
        known, node = self._planned(place)
        if known:
            return node.target if node is not None and node.kind == "link" else None
        return super().link_target(place)

    def _place(self, path: str) -> str:
        """The path with the links on the way followed, and not the last one."""
        directory, name = os.path.split(os.path.normpath(path))
        return f"{self.real_path(directory).rstrip('/')}/{name}"

    def _node(self, path: str) -> Optional[Node]:
        """What will stand at the path, of the plan or of the machine."""
        place = self._place(path)
        known, node = self._planned(place)
        if known:
            return node
        found = super().status(place)
        if found is None:
            return None
        load = super().read
        target = super().link_target(place) or ""
        return Node(found.kind, found.mode, found.uid, found.gid, lambda: load(place) or b"", target, whole=False)

    def read(self, path: str) -> Optional[bytes]:
        place = self.real_path(path)
        known, node = self._planned(place)
        if not known:
            return super().read(place)
        return node.load() if node is not None and node.kind in ("file", "unknown") else None

    def status(self, path: str) -> Optional[FileStatus]:
        place = self._place(path)
        known, node = self._planned(place)
        if not known:
            return super().status(place)
        if node is None:
            return None
        if node.kind == "unknown":
            node.load()
        return FileStatus(node.kind, node.mode, node.uid, node.gid, 0, 0, time.time())

    def exists(self, path: str) -> bool:
        known, node = self._planned(self._place(path))
        return node is not None if known else super().exists(path)

    def link_target(self, path: str) -> Optional[str]:
        return self._target(self._place(path))

    def listing(self, path: str) -> List[str]:
        place = self.real_path(path)
        start = place.rstrip("/") + "/"
        names = {each[len(start) :].split("/")[0] for each, node in self.nodes.items() if each.startswith(start) and node}
        kept = [name for name in super().listing(place) if self._planned(start + name) != (True, None)]
        return sorted(names.union(kept))

    def brought_by(self, path: Optional[str]) -> str:
        node = self.nodes.get(self._place(path)) if path else None
        return node.package if node is not None else ""

    # -- what a plan puts there ----------------------------------------------------------------------------------------

    def put(self, path: str, node: Optional[Node]) -> None:
        """Raises ResourceError where the directory around it is missing, as the machine would."""
        parent = os.path.dirname(path)
        if node is not None and not self._is_directory(parent):
            raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before")
        self._set_node(self._place(path), node)

    def _is_directory(self, path: str) -> bool:
        found = self._node(self.real_path(path))
        return found is not None and found.kind in ("directory", "unknown")

    def _set_node(self, place: str, node: Optional[Node]) -> None:
        self.nodes[place] = node
        self.touched.append(place)
        self.forget(*self._batches)
        self._batches.clear()

    def write(
        self,
        path: str,
        content: Union[bytes, BinaryIO],
        *,
        mode: Optional[str] = None,
        uid: Optional[int] = None,
        gid: Optional[int] = None,
        verify: Optional[Callable[[str], None]] = None,
        backup: bool = False,
    ) -> None:
        path = self.real_path(path)
        old = self.status(path)
        if old is not None and old.kind == "directory":
            raise ResourceError(f"{path} is a directory; a file cannot take its place")
        owner = self._ownership(old, uid, gid)
        text = content if isinstance(content, bytes) else content.read()
        self.put(path, Node("file", mode or (old.mode if old else "0644"), *owner, load=lambda: text))

    def keep_backup(self, path: str) -> str:
        return path

    def change_mode(self, path: str, mode: str) -> None:
        path = self.real_path(path)
        self.put(path, self._present(path)._replace(mode=mode))

    def change_owner(self, path: str, uid: int = -1, gid: int = -1) -> None:
        node = self._present(path)
        self.put(path, node._replace(uid=node.uid if uid == -1 else uid, gid=node.gid if gid == -1 else gid))

    def _present(self, path: str) -> Node:
        node = self._node(path)
        if node is None:
            raise ResourceError(f"{path} does not exist")
        return node

    def make_directory(self, path: str, *, mode: str = "0755", uid: int = -1, gid: int = -1, parents: bool = False) -> None:
        parent = os.path.dirname(path)
        if parents and not self._is_directory(parent):
            self.make_directory(parent, parents=True)
        self.put(path, Node("directory", mode, max(uid, 0), max(gid, 0)))

    def make_link(self, path: str, target: str) -> None:
        self.put(path, Node("link", "0777", target=target))

    def remove(self, path: str) -> None:
        self.put(path, None)

    def remove_tree(self, path: str) -> None:
        place = self._place(path)
        for each in [each for each in self.nodes if each.startswith(place + "/")]:
            del self.nodes[each]
        self.put(path, None)

    def put_unknown(self, path: str, name: str, kind: str = "unknown", **values: Any) -> None:
        """Something will stand at the path, brought by the resource `name`; its content is not known, or not even its kind."""

        def load() -> NoReturn:
            raise CannotKnow(f"{path} is brought by {name} before it")

        self.put(path, Node(kind, load=load, **values))

    def bring(self, package: str, entries: Mapping[str, Any]) -> None:
        """The paths of a package: {path: (kind, mode, load, link target)}; what stands there already stays."""
        for path, (kind, mode, load, target) in entries.items():
            place = self._place(path)
            if self._node(place) is None:
                self.nodes[place] = Node(kind, mode, load=load, target=target, package=package)
                self.touched.append(place)
        self.forget(*self._batches)
        self._batches.clear()

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Put a file's text through `change`."""
        text = (self.read(path) or b"").decode("utf-8", "surrogateescape")
        found = self.status(path)
        kept = (found.mode, found.uid, found.gid) if found else ("0644", 0, 0)
        content = change(text).encode("utf-8", "surrogateescape")
        self.put(path, Node("file", *kept, load=lambda: content))


def is_below(path: str, top: str) -> bool:
    """Whether the path is `top` itself or lies below it."""
    return path == top or path.startswith(top.rstrip("/") + "/")


def _parents(path: str) -> Iterator[str]:
    while path not in ("/", ""):
        path = os.path.dirname(path)
        yield path
