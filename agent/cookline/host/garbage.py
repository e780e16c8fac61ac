"""Removes trees and contents that no kept run and no agent uses any more."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from typing import List, Optional, Set

from cookline.host.landing import state_directory, tree_directory

# A tree younger than this may belong to a session that has not written its request yet.
COLLECT_AFTER_SECONDS = 3600.0


def collect_garbage(*, now: Optional[float] = None) -> List[str]:
    """Remove trees that neither a kept run nor the agent uses, then objects that no tree links to. Returns the trees' names.

    Runs whose directory is gone use nothing, so the caller prunes runs first. Called under the run lock.
    """
    now = time.time() if now is None else now
    used = trees_in_use()
    removed = [name for name in _names(state_directory() + "/trees") if name not in used and _is_old(name, now)]
    for name in removed:
        _remove_tree(name)
    objects = state_directory() + "/objects"
    for name in _names(objects):
        _remove_unlinked(f"{objects}/{name}", now)
    return removed


def trees_in_use() -> Set[str]:
    """Hashes that kept runs, plans and the resident agent refer to."""
    state = state_directory()
    used: Set[str] = set()
    for kind in ("runs", "plans"):
        for run in _names(f"{state}/{kind}"):
            used |= _trees_of_request(f"{state}/{kind}/{run}/request.json")
    with contextlib.suppress(OSError):
        used.add(os.path.basename(os.readlink(state + "/agent")))
    try:
        with open(state + "/inventory.json", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        text = ""
    used.update(name for name in _names(state + "/trees") if name in text)
    return used


def _trees_of_request(path: str) -> Set[str]:
    try:
        with open(path, encoding="utf-8") as file:
            request = json.load(file)
        return {str(tree) for tree in [*request.get("trees", {}).values(), request.get("bundle", "")]}
    except (OSError, ValueError, AttributeError):
        return set()


def _is_old(name: str, now: float) -> bool:
    for mark in (f"{tree_directory(name)}/.complete", tree_directory(name)):
        try:
            return now - os.stat(mark).st_mtime > COLLECT_AFTER_SECONDS
        except OSError:
            continue
    return False


def _remove_tree(name: str) -> None:
    """`.complete` goes first: a session that looks in the meantime takes the tree as missing."""
    with contextlib.suppress(OSError):
        os.unlink(tree_directory(name) + "/.complete")
    shutil.rmtree(tree_directory(name), ignore_errors=True)


def _remove_unlinked(path: str, now: float) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and now - found.st_mtime > COLLECT_AFTER_SECONDS:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _names(directory: str) -> List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
