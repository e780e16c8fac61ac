"""The machine as a plan expects it to be: what stands there, and over it what earlier resources of the plan would have done.

A resource's `predict` leaves its changes here in memory; later resources read them as if they had been made. Nothing is
written. What only a program knows (what a package's scripts do, what a command leaves) is noted as uncertain: from then on
something that is missing may be brought by it, and the plan says `cannot know` instead of guessing.
"""

from __future__ import annotations

import os
import time
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Union

from cookline.errors import ResourceError
from cookline.host.system import FileStatus, System


class Node(NamedTuple):
    """Something that will stand at a path; `load` gives the content when somebody asks for it."""

    kind: str
    mode: str = "0644"
    uid: int = 0
    gid: int = 0
    load: Callable[[], bytes] = bytes
    target: str = ""
    package: str = ""


class Overlay(System):
    """`nodes` maps a path to what the plan puts there, None where it removes something."""

    def __init__(self, on_wait: Optional[Callable[[str, str], None]] = None) -> None:
        super().__init__(apply=False, on_wait=on_wait)
        self.nodes: Dict[str, Optional[Node]] = {}
        self.uncertain: List[str] = self.known.setdefault("planned", [])

    def cannot_foresee(self, name: str) -> None:
        """Note that a resource will bring more than is known here."""
        self.uncertain.append(name)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _planned(self, path: str) -> "tuple[bool, Optional[Node]]":
        """Whether the plan says anything of the path, and what."""
        if path in self.nodes:
            return True, self.nodes[path]
        parent = os.path.dirname(path)
        while parent != "/":
            if parent in self.nodes and self.nodes[parent] is None:
                return True, None
            parent = os.path.dirname(parent)
        return False, None

    def _behind_links(self, path: str) -> str:
        known, node = self._planned(path)
        while known and node is not None and node.kind == "link":
            path = os.path.normpath(os.path.join(os.path.dirname(path), node.target))
            known, node = self._planned(path)
        return path

    def read(self, path: str) -> Optional[bytes]:
        path = self._behind_links(path)
        known, node = self._planned(path)
        if not known:
            return super().read(path)
        return node.load() if node is not None and node.kind == "file" else None

    def status(self, path: str) -> Optional[FileStatus]:
        known, node = self._planned(path)
        if not known:
            return super().status(path)
        if node is None:
            return None
        return FileStatus(node.kind, node.mode, node.uid, node.gid, 0, 0, time.time())

    def link_target(self, path: str) -> Optional[str]:
        known, node = self._planned(path)
        if not known:
            return super().link_target(path)
        return node.target if node is not None and node.kind == "link" else None

    def listing(self, path: str) -> List[str]:
        start = path.rstrip("/") + "/"
        names = {each[len(start) :].split("/")[0] for each, node in self.nodes.items() if each.startswith(start) and node}
        kept = [name for name in super().listing(path) if self._planned(start + name) != (True, None)]
        return sorted(names.union(kept))

    def brought_by(self, path: Optional[str]) -> str:
        """The package that the plan expects to bring this path, or the empty string."""
        node = self.nodes.get(path or "")
        return node.package if node is not None else ""

    # -- what a plan puts there ----------------------------------------------------------------------------------------

    def put(self, path: str, node: Optional[Node]) -> None:
        """Raises ResourceError where the directory around it is missing, as the machine would."""
        parent = os.path.dirname(path)
        if node is not None and self._missing(parent):
            raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before")
        self.nodes[path] = node
        self.forget(*self._batches)
        self._batches.clear()

    def _missing(self, directory: str) -> bool:
        found = self.status(self._behind_links(directory))
        return found is None

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
        path = self._behind_links(path)
        old = self.status(path)
        owner = self._ownership(old, uid, gid)
        text = content if isinstance(content, bytes) else content.read()
        self.put(path, Node("file", mode or (old.mode if old else "0644"), *owner, load=lambda: text))

    def keep_backup(self, path: str) -> str:
        return path

    def change_mode(self, path: str, mode: str) -> None:
        self.put(path, self._present(path)._replace(mode=mode))

    def change_owner(self, path: str, uid: int = -1, gid: int = -1) -> None:
        node = self._present(path)
        self.put(path, node._replace(uid=node.uid if uid == -1 else uid, gid=node.gid if gid == -1 else gid))

    def _present(self, path: str) -> Node:
        known, node = self._planned(path)
        if known and node is not None:
            return node
        found = super().status(path)
        if found is None or known:
            raise ResourceError(f"{path} does not exist")
        content, target = super().read, super().link_target(path) or ""
        return Node(found.kind, found.mode, found.uid, found.gid, lambda: content(path) or b"", target)

    def make_directory(self, path: str, *, mode: str = "0755", parents: bool = False) -> None:
        parent = os.path.dirname(path)
        if parents and self._missing(parent):
            self.make_directory(parent, parents=True)
        self.put(path, Node("directory", mode))

    def make_link(self, path: str, target: str) -> None:
        self.put(path, Node("link", "0777", target=target))

    def remove(self, path: str) -> None:
        self.put(path, None)

    def remove_tree(self, path: str) -> None:
        for each in [each for each in self.nodes if each.startswith(path + "/")]:
            del self.nodes[each]
        self.put(path, None)

    def bring(self, package: str, entries: Dict[str, Any]) -> None:
        """The paths of a package: {path: (kind, mode, load)}; what stands there already stays."""
        for path, (kind, mode, load) in entries.items():
            if path not in self.nodes and super().status(path) is None:
                self.nodes[path] = Node(kind, mode, load=load, package=package)
        self.forget(*self._batches)
        self._batches.clear()

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Put a file's text through `change`."""
        text = (self.read(path) or b"").decode("utf-8", "surrogateescape")
        found = self.status(path)
        kept = (found.mode, found.uid, found.gid) if found else ("0644", 0, 0)
        content = change(text).encode("utf-8", "surrogateescape")
        self.put(path, Node("file", *kept, load=lambda: content))
