"""A plan's picture of the machine: what earlier resources would do is there for later ones, and nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host import accounts, deb, dpkg
from cookline.host.overlay import Overlay
from cookline.host.resources.base import Resource, differences
from cookline.host.resources.directory import Directory
from cookline.host.resources.file import File
from cookline.host.resources.group import Group
from cookline.host.resources.line_in_file import LineInFile
from cookline.host.resources.link import Link
from cookline.host.resources.user import User
from cookline.host.system import PlanWrite


@pytest.fixture
def host() -> Overlay:
    return Overlay()


def plan(host: Overlay, resource: Resource) -> dict[str, object]:
    """What the plan says that would differ; afterwards it is as if it had been done."""
    changes = differences(resource.current(host), resource.desired())
    if changes:
        resource.predict(host, changes)
    return changes


def test_what_is_planned_is_there_for_later_resources_and_nowhere_else(host: Overlay, tmp_path: Path) -> None:
    folder = f"{tmp_path}/new/deep"
    assert plan(host, Directory(folder, mode="0750", parents=True))
    assert plan(host, File(f"{folder}/file", content="one\n", mode="0600"))
    assert plan(host, LineInFile(f"{folder}/file", "two"))
    assert plan(host, Link(f"{tmp_path}/link", f"{folder}/file"))
    assert host.read(f"{tmp_path}/link") == b"one\ntwo\n"
    assert host.listing(folder) == ["file"]
    for again in (Directory(folder, mode="0750"), File(f"{folder}/file", content="one\ntwo\n", mode="0600")):
        assert plan(host, again) == {}
    assert os.listdir(tmp_path) == []


def test_what_is_planned_away_is_gone(host: Overlay, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("x")
    assert plan(host, Directory(f"{tmp_path}/old", exists=False, recursive=True))
    assert host.read(f"{tmp_path}/old/file") is None and host.listing(str(tmp_path)) == []
    assert plan(host, File(f"{tmp_path}/old/file", exists=False)) == {}
    assert (tmp_path / "old" / "file").exists()


def test_a_mode_that_is_planned_keeps_the_content_that_is_there(host: Overlay, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "file").chmod(0o644)
    assert plan(host, File(f"{tmp_path}/file", mode="0600"))
    assert host.read(f"{tmp_path}/file") == b"kept" and host.status(f"{tmp_path}/file").mode == "0600"  # type: ignore[union-attr]


def test_what_the_run_would_refuse_the_plan_refuses(host: Overlay, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=f"{tmp_path}/missing does not exist"):
        plan(host, File(f"{tmp_path}/missing/file", content="x"))


def test_users_and_groups_that_are_planned_own_files(host: Overlay, tmp_path: Path) -> None:
    assert plan(host, Group("cookbench", gid=4711))
    assert plan(host, User("cookbench", uid=4712, group="cookbench", groups=["users"], shell="/bin/sh", home="/srv"))
    assert plan(host, User("cookbench", uid=4712, groups=["users"])) == {}
    assert "cookbench" in accounts.groups(host)["users"].members
    assert plan(host, File(f"{tmp_path}/owned", content="x", owner="cookbench", group="cookbench"))
    assert plan(host, File(f"{tmp_path}/owned", owner="cookbench", group=4711)) == {}
    assert plan(host, User("cookbench", exists=False)) and "cookbench" not in accounts.users(host)


def test_programs_are_not_foreseen(host: Overlay) -> None:
    with pytest.raises(PlanWrite):
        host.run(["touch", "/tmp/never"])
    assert host.query(["true"]).status == 0


def test_a_package_brings_its_files(host: Overlay, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc" / "cookline-plan").mkdir(parents=True)
    (tree / "etc" / "cookline-plan" / "conf").write_text("from the package\n")
    (tree / "DEBIAN" / "control").write_text(
        "Package: cookline-plan\nVersion: 1.0\nArchitecture: all\nMaintainer: test <test@example.net>\nDescription: test\n"
    )
    archive = f"{tmp_path}/cookline-plan_1.0_all.deb"
    built = host.query(["dpkg-deb", "--root-owner-group", "-b", str(tree), archive])
    assert built.status == 0, built.stderr
    host.bring("cookline-plan", deb.entries(host, archive))
    assert host.read("/etc/cookline-plan/conf") == b"from the package\n"
    assert host.status("/etc/cookline-plan").kind == "directory"  # type: ignore[union-attr]
    assert host.brought_by("/etc/cookline-plan/conf") == "cookline-plan"
    assert plan(host, File("/etc/cookline-plan/conf", content="from the package\n")) == {}


def test_status_of_a_planned_package(host: Overlay) -> None:
    stanza = "Package: planned\nStatus: install ok installed\nVersion: 2.0\nArchitecture: all"
    host.edit(dpkg.STATUS, lambda text: dpkg.with_stanza(text, "planned", stanza))
    assert dpkg.status(host).find("planned") == dpkg.Installed("planned", "installed", "2.0", "all")
    host.edit(dpkg.STATUS, lambda text: dpkg.with_stanza(text, "planned", ""))
    assert dpkg.status(host).find("planned") is None
