"""Contents by hash: `.cookline/blobs/<sha256>`; what a revision froze is read back from here, never from the working tree."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cookline.errors import CooklineError
from cookline.protocol import canonical_json, content_hash, tree_hash


class Blobs:
    """`directory` is made with mode 0700 on first write."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, content: bytes) -> str:
        """Keep `content`; its sha256. Written to the side and renamed: a blob is whole or absent."""
        name = content_hash(content)
        path = self.directory / name
        if not path.exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".new-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(temporary, path)
        return name

    def holds(self, sha256: str) -> bool:
        """Whether the content is there; who asks will name it, so it counts as used now."""
        try:
            os.utime(self.directory / sha256)
        except FileNotFoundError:
            return False
        except OSError:  # a file system that became read-only still serves
            return (self.directory / sha256).exists()
        return True

    def remove(self, sha256: str, *, unused_for: float) -> None:
        """Remove a content unless it was put or asked for within so many seconds; absent is fine."""
        path = self.directory / sha256
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > unused_for:
                path.unlink()

    def path(self, sha256: str) -> Path:
        """Where that content lies. Raises CooklineError when it is not kept."""
        path = self.directory / sha256
        if len(sha256) != 64 or not sha256.isalnum() or not path.exists():
            raise CooklineError(f"the content {sha256[:12]} is not in {self.directory}", hint="`cookline push` keeps it again")
        return path

    def get(self, sha256: str) -> bytes:
        content = self.path(sha256).read_bytes()
        if content_hash(content) != sha256:
            raise CooklineError(
                f"{self.directory / sha256} is damaged: its content has another hash", hint="remove the file and push again"
            )
        return content

    def put_tree(self, manifest: Sequence[Sequence[Any]], read: Callable[[str], bytes]) -> str:
        """Keep a tree (manifest of [path, mode, sha256] and each file's content, `read(path)`); the tree's hash, which is
        the sha256 of the sorted manifest as canonical JSON, so that the manifest is a blob like any other."""
        entries = sorted(list(entry) for entry in manifest)
        for path, _mode, sha256 in entries:
            if not (self.directory / sha256).exists():
                self.put(read(path))
        name = self.put(canonical_json(entries).encode())
        assert name == tree_hash(manifest)
        return name

    def manifest(self, tree: str) -> list[list[Any]]:
        """The manifest of a kept tree."""
        entries: list[list[Any]] = json.loads(self.get(tree))
        return entries
