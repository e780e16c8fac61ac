"""A clone that has not changed since git called it clean is known to be right without git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cookline.host import paths
from cookline.host.resources import git_stamps
from cookline.host.resources.git import Git
from cookline.host.system import System


class Clone:
    """A clone at /tree of a repository with two commits, looked at by a machine that counts how often git is asked."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.tree, self.asked = folder / "origin", folder / "tree", 0
        self.git("init", "-q", "-b", "main", str(self.origin), at=folder)
        for text in ("one", "two"):
            (self.origin / "file").write_text(text)
            self.git("add", ".", at=self.origin)
            self.git("-c", "user.email=a@b", "-c", "user.name=a", "commit", "-qm", text, at=self.origin)
        self.git("clone", "-q", str(self.origin), str(self.tree), at=folder)
        self.git("checkout", "-q", "--detach")

    def git(self, *words: str, at: Path | None = None) -> None:
        subprocess.run(["git", *words], cwd=at or self.tree, check=True, capture_output=True)

    def look(self, *, apply: bool = True, **fields: Any) -> dict[str, Any]:
        host, self.asked = System(apply=apply), 0
        query = host.query

        def counted(command: Any, **options: Any) -> Any:
            self.asked += "ls-remote" not in command
            return query(command, **options)

        host.query = counted  # type: ignore[method-assign]
        return dict(Git(str(self.tree), **{"repository": str(self.origin), "revision": "main", **fields}).current(host))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.setattr(paths, "GIT_STAMPS", str(tmp_path / "git.json"))
    monkeypatch.setattr(git_stamps, "SETTLED_SECONDS", 0.0)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return Clone(tmp_path)


def test_git_is_asked_once(clone: Clone) -> None:
    right = {"repository": str(clone.origin), "revision": "main", "modified": []}
    assert clone.look() == right and clone.asked == 3
    assert clone.look() == right and clone.asked == 0
    assert clone.look(apply=False) == right and clone.asked == 0


CHANGES: dict[str, tuple[Callable[[Clone], object], dict[str, Any]]] = {
    "content": (lambda clone: (clone.tree / "file").write_text("own"), {"modified": ["file"]}),
    "a file that is gone": (lambda clone: (clone.tree / "file").unlink(), {"modified": ["file"]}),
    "mode": (lambda clone: (clone.tree / "file").chmod(0o755), {"modified": ["file"]}),
    "commit": (lambda clone: clone.git("checkout", "-q", "HEAD~1"), {"revision": None}),
    "address": (lambda clone: clone.git("remote", "set-url", "origin", "/x"), {"repository": "/x", "revision": None}),
    "a file of their own": (lambda clone: (clone.tree / "log").write_text("own"), {}),
    "a branch": (lambda clone: clone.git("checkout", "-q", "main"), {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_git_is_asked_again(clone: Clone, change: str) -> None:
    right = clone.look()
    make, expected = CHANGES[change]
    make(clone)
    found = clone.look()
    assert clone.asked == 3
    assert {name for name in found if found[name] != right[name]} == set(expected)
    assert all(found[name] == value for name, value in expected.items() if value is not None)


def test_a_new_commit_of_the_branch_is_seen_without_asking_the_clone(clone: Clone) -> None:
    right = clone.look()
    clone.git("-c", "user.email=a@b", "-c", "user.name=a", "commit", "-q", "--allow-empty", "-m", "three", at=clone.origin)
    found = clone.look()
    assert clone.asked == 0 and found["revision"] != right["revision"]


def test_a_stamp_is_for_one_repository(clone: Clone) -> None:
    clone.look()
    assert clone.look(repository="/another")["repository"] == str(clone.origin)
    assert clone.asked == 3


def test_neither_a_plan_nor_a_tree_that_has_just_changed_leaves_a_stamp(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    clone.look(apply=False)
    monkeypatch.setattr(git_stamps, "SETTLED_SECONDS", 3600.0)
    clone.look()
    assert not Path(paths.GIT_STAMPS).exists()
    Path(paths.GIT_STAMPS).write_text("[broken")
    assert clone.look()["revision"] == "main"
