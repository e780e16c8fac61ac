"""Whether a working tree is as git saw it last, without asking git: by the status of everything that is in it.

git itself asks no more of a file that its index knows. Kept are the trees that git has called clean: path to stamp, below the
state directory. A stamp counts only where HEAD names a commit, as it does after Git has checked one out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from typing import Iterator, NamedTuple, Optional

from cookline.host import paths
from cookline.host.system import System

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Of git's own files those that say what is checked out, out of what.
OWN = ("HEAD", "index", "config")
# What changed less than this ago might change again within the same tick of a coarse clock, and look the same.
SETTLED_SECONDS = 2.0
TREES_KEPT = 200


class Stamp(NamedTuple):
    """The commit that HEAD names, a digest of the tree's status, and whether nothing in it has changed just now."""

    commit: str
    digest: str
    settled: bool


def is_known(path: str, stamp: Stamp) -> bool:
    """Whether git has called the tree clean as it stands."""
    return bool(paths.read_private(paths.GIT_STAMPS).get(path) == stamp.digest)


def keep(path: str, stamp: Stamp) -> None:
    """Note that git called the tree clean after the stamp was taken."""
    if stamp.settled:
        kept = {**paths.read_private(paths.GIT_STAMPS), path: stamp.digest}
        with contextlib.suppress(OSError):  # it only saves time
            paths.write_private(paths.GIT_STAMPS, json.dumps(dict(list(kept.items())[-TREES_KEPT:])).encode())


def take(host: System, path: str, repository: str) -> Optional[Stamp]:
    """Of the tree at `path` as a clone of `repository`; None where HEAD is a branch, or submodules have states of their own."""
    own = f"{path}/.git"
    head = (host.read(f"{own}/HEAD") or b"").decode("ascii", "replace").strip()
    if not COMMIT.fullmatch(head) or host.exists(f"{own}/modules"):
        return None
    digest, changed = hashlib.sha256(repository.encode()), 0.0
    with contextlib.suppress(OSError), host.open_door():
        for place, status in _below(path):
            changed = max(changed, status.st_ctime)
            seen = (status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            digest.update(f"{place}\0{seen}\n".encode("utf-8", "surrogateescape"))
        return Stamp(head, digest.hexdigest(), changed <= time.time() - SETTLED_SECONDS)
    return None


def _below(path: str) -> "Iterator[tuple[str, os.stat_result]]":
    """The status of everything in the tree, and of git's OWN files."""
    yield from ((name, os.lstat(f"{path}/.git/{name}")) for name in OWN)
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.path == f"{path}/.git":
                    continue
                yield entry.path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
