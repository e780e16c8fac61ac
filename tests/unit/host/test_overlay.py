"""A plan's picture of the machine: what earlier resources would do is there for later ones, and nothing is written."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host import accounts, deb, dpkg
from cookline.host.foresight import CannotKnow
from cookline.host.overlay import Overlay
from cookline.host.resources.absent import Absent
from cookline.host.resources.base import Resource, differences
from cookline.host.resources.directory import Directory
from cookline.host.resources.file import File
from cookline.host.resources.group import Group
from cookline.host.resources.line_in_file import LineInFile
from cookline.host.resources.link import Link
from cookline.host.resources.user import User
from cookline.host.run.guards import skip_reason
from cookline.host.system import PlanWrite, System


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


def test_two_planned_packages_stand_beside_each_other(host: Overlay) -> None:
    stanza = "Package: {}\nStatus: install ok installed\nVersion: 2.0\nArchitecture: all"
    for name in ("planned-a", "planned-b", "planned-c"):
        host.edit(dpkg.STATUS, functools.partial(dpkg.with_stanza, name=name, stanza=stanza.format(name)))
    assert all(dpkg.status(host).find(f"planned-{name}") for name in "abc")


def test_a_directory_that_is_made_anew_is_empty(host: Overlay, tmp_path: Path) -> None:
    (tmp_path / "old" / "sub").mkdir(parents=True)
    (tmp_path / "old" / "sub" / "file").write_text("x")
    assert plan(host, Directory(f"{tmp_path}/old", exists=False, recursive=True))
    assert plan(host, Directory(f"{tmp_path}/old"))
    assert host.listing(f"{tmp_path}/old") == [] and host.read(f"{tmp_path}/old/sub/file") is None
    assert plan(host, Directory(f"{tmp_path}/old/sub"))
    assert host.read(f"{tmp_path}/old/sub/file") is None


def test_links_on_the_way_are_followed_planned_and_real(host: Overlay, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "standing").symlink_to("real")
    assert plan(host, Link(f"{tmp_path}/planned", f"{tmp_path}/standing"))
    assert plan(host, File(f"{tmp_path}/planned/file", content="x"))
    for way in ("real", "standing", "planned"):
        assert plan(host, File(f"{tmp_path}/{way}/file", content="x")) == {}
    assert host.real_path(f"{tmp_path}/planned/../standing/./file") == f"{tmp_path}/real/file"


def test_links_that_lead_to_themselves_are_an_error_with_the_path(host: Overlay, tmp_path: Path) -> None:
    assert plan(host, Link(f"{tmp_path}/a", f"{tmp_path}/b")) and plan(host, Link(f"{tmp_path}/b", f"{tmp_path}/a"))
    with pytest.raises(ResourceError, match=f"{tmp_path}/a/file leads through links that lead to themselves"):
        host.read(f"{tmp_path}/a/file")


def test_a_link_that_leads_to_itself_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    absent = Absent(f"{tmp_path}/a")
    changes = differences(absent.current(System()), absent.desired())
    assert absent.inverse(System(), changes) == Link(f"{tmp_path}/a", f"{tmp_path}/a")
    absent.apply(System(), changes)
    assert not (tmp_path / "a").is_symlink()


def test_what_is_not_foreseen_reaches_as_far_as_it_can(host: Overlay, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "tree")
    host.cannot_foresee("Git[tree]", f"{tmp_path}/tree")
    assert host.unforeseen(f"{tmp_path}/link/file") == "Git[tree]" and host.unforeseen() == ""
    with pytest.raises(CannotKnow, match=r"Git\[tree\] before it may bring it"):
        Directory(f"{tmp_path}/tree/sub").current(host)
    assert Directory(f"{tmp_path}/other").current(host) == {"exists": False}
    host.cannot_foresee("Package[shop]", spares=("/srv",), scripts="adduser --system shop")
    assert (host.unforeseen("/srv/x"), host.unforeseen("/etc/x")) == ("", "Package[shop]")
    assert (host.unforeseen_account("shop"), host.unforeseen_account("sho")) == ("Package[shop]", "")


def test_guards_are_asked_of_the_machine_as_it_will_be(host: Overlay, tmp_path: Path) -> None:
    path = f"{tmp_path}/flag"
    assert skip_reason(File("/x", "", only_if=f"test -e {path}"), host) == f"only_if `test -e {path}` is not so"
    assert plan(host, File(path, content="x"))
    for guard in (f"test -e {path}", f"[ -f {path} ]", f"! test -d {path}", f"test ! -L {path}"):
        assert skip_reason(File("/x", "", only_if=guard), host) is None, guard
    assert skip_reason(File("/x", "", only_if="true"), host) is None
    host.names.append(f"File[{path}]")
    with pytest.raises(CannotKnow, match="may depend on File"):
        skip_reason(File("/x", "", only_if=f"grep -q x {path}"), host)
