"""Files, diffs and releases in a directory of the test's own, without root."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from cookline.errors import CookbookError, ResourceError
from cookline.host import system
from cookline.host.apt import NOT_FOUND
from cookline.host.foresight import CannotKnow
from cookline.host.overlay import Overlay
from cookline.host.resources.base import Changes, Resource, differences
from cookline.host.resources.directory import Directory
from cookline.host.resources.file import File
from cookline.host.resources.line_in_file import LineInFile
from cookline.host.resources.release import Release
from cookline.host.resources.systemd_unit import refuse_bad_lines
from cookline.host.resources.text_diff import MAX_DIFF_BYTES, unified_diff
from cookline.host.system import System

HOST = System()
OWN = {"owner": os.getuid(), "group": os.getgid()}


@pytest.fixture(autouse=True)
def backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(system, "BACKUPS", str(tmp_path / "backups"))
    return tmp_path / "backups"


def converge(resource: Resource) -> Changes:
    """What the engine does, and that it leaves no difference."""
    changes = differences(resource.current(HOST), resource.desired())
    if changes:
        resource.apply(HOST, changes)
    assert differences(resource.current(HOST), resource.desired()) == {}
    return changes


def test_diff_has_three_lines_of_context() -> None:
    old = "".join(f"{number}\n" for number in range(20))
    diff = unified_diff("/etc/x", old.encode(), old.replace("10\n", "ten\n").encode())
    assert diff.splitlines()[2:] == ["@@ -8,7 +8,7 @@", " 7", " 8", " 9", "-10", "+ten", " 11", " 12", " 13"]


def test_diff_says_when_the_last_line_has_no_end() -> None:
    assert unified_diff("/x", b"a", b"a\n").splitlines()[3:] == ["-a", "\\ No newline at end of file", "+a"]


def test_diff_is_cut_at_a_line() -> None:
    diff = unified_diff("/x", b"", b"0123456789\n" * 10_000)
    assert len(diff.encode()) < MAX_DIFF_BYTES + 100
    assert diff.splitlines()[-2:] == ["+0123456789", "[cut: the whole diff has 120053 bytes]"]


def test_no_diff_of_binary_or_huge_files() -> None:
    assert unified_diff("/x", b"\0", b"a") == "[/x is binary: 1 bytes become 1]"
    assert unified_diff("/x", b"", b"\xff\xfe") == "[/x is binary: 0 bytes become 2]"
    assert "larger than" in unified_diff("/x", b"", b"a" * 10_000_001)


def test_file_is_written_once_and_keeps_five_backups(tmp_path: Path, backups: Path) -> None:
    path = tmp_path / "conf"
    (tmp_path / "conf.d").write_text("another file whose name begins alike")
    for number in range(8):
        assert converge(File(str(path), f"{number}\n", mode="0640", **OWN))
        assert converge(File(str(path), f"{number}\n", mode="0640", **OWN)) == {}
    assert path.read_text() == "7\n"
    kept = sorted((backups / str(tmp_path)[1:]).iterdir())
    assert [each.read_text() for each in kept] == ["2\n", "3\n", "4\n", "5\n", "6\n"]


def test_sensitive_file_has_no_diff(tmp_path: Path) -> None:
    secret = File(str(tmp_path / "key"), "the key\n", sensitive=True)
    assert secret.diff(HOST, differences(secret.current(HOST), secret.desired())) is None
    assert "the key" not in str(secret.declaration())


def test_declared_file_is_found_to_have_drifted(tmp_path: Path) -> None:
    declared = File(str(tmp_path / "conf"), "a\n", mode="0600", **OWN)
    converge(declared)
    again = File.from_declaration(declared.declaration())
    assert differences(again.current(System(apply=False)), declared.desired()) == {}
    (tmp_path / "conf").write_text("b\n")
    assert set(differences(again.current(System(apply=False)), declared.desired())) == {"content"}


def test_refused_content_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text("good\n")
    with pytest.raises(ResourceError, match=f"the new {path} was refused by `grep -q good %{{path}}`"):
        converge(File(str(path), "bad\n", verify="grep -q good %{path}", **OWN))
    assert path.read_text() == "good\n"
    assert [each.name for each in tmp_path.iterdir()] == ["conf"]


def test_a_directory_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is a directory, not a file"):
        converge(File(str(tmp_path), "x"))
    with pytest.raises(ResourceError, match="is a directory, not a file"):
        converge(File(str(tmp_path), exists=False))


def test_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=f"{tmp_path}/a does not exist"):
        converge(File(str(tmp_path / "a/b"), "x"))
    with pytest.raises(ResourceError, match=f"{tmp_path}/a does not exist"):
        converge(Directory(str(tmp_path / "a/b")))


def test_plan_names_an_owner_that_nobody_would_create(tmp_path: Path) -> None:
    plan = Overlay()
    wanted = File(str(tmp_path / "x"), "x", owner="nobody-at-all")
    with pytest.raises(ResourceError, match="no user 'nobody-at-all'"):
        wanted.current(plan)
    plan.cannot_foresee("Package[postgresql]")
    assert wanted.current(plan) == {"exists": False}


def artifact(tmp_path: Path, text: str) -> str:
    path = tmp_path / f"{text}.tar.gz"
    if path.exists():
        return str(path)
    with tarfile.open(path, "w:gz") as tar:
        for name in ("server.py", "log/left-over"):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def release(tmp_path: Path, text: str = "", **fields: object) -> Release:
    fields.update({"artifact": artifact(tmp_path, text)} if text else {})
    return Release("shop", directory=str(tmp_path / "shop"), **OWN, **fields)


def test_release_keeps_five_and_goes_back_four(tmp_path: Path) -> None:
    for text in "abcdefg":
        converge(release(tmp_path, text))
        assert converge(release(tmp_path, text)) == {}
    current = tmp_path / "shop/current"
    assert len(list((tmp_path / "shop/releases").iterdir())) == 5
    for steps, text in ((1, "f"), (4, "c")):
        converge(release(tmp_path, rollback=steps))
        assert (current / "server.py").read_text() == text
    with pytest.raises(ResourceError, match="nothing was changed"):
        converge(release(tmp_path, rollback=5))
    assert (current / "server.py").read_text() == "c"


def test_deploy_after_a_rollback_forgets_what_was_rolled_back_from(tmp_path: Path) -> None:
    for text in "ab":
        converge(release(tmp_path, text))
    converge(release(tmp_path, rollback=1))
    converge(release(tmp_path, "c"))
    converge(release(tmp_path, rollback=1))
    assert (tmp_path / "shop/current/server.py").read_text() == "a"


def test_shared_directories_outlive_releases(tmp_path: Path) -> None:
    converge(release(tmp_path, "a"))
    (tmp_path / "shop/current/log/app.log").write_text("line\n")
    converge(release(tmp_path, "b"))
    assert [each.name for each in (tmp_path / "shop/current/log").iterdir()] == ["app.log"]


def test_bad_artifact_leaves_the_old_release_current(tmp_path: Path) -> None:
    converge(release(tmp_path, "a"))
    (tmp_path / "bad.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ResourceError):
        converge(release(tmp_path, artifact=str(tmp_path / "bad.tar.gz")))
    assert (tmp_path / "shop/current/server.py").read_text() == "a"
    assert len(list((tmp_path / "shop/releases").iterdir())) == 1


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("E: Unable to locate package nginxx", "nginxx"),
        ("E: Package 'nginxx' has no installation candidate", "nginxx"),
        ("E: Version '7' for 'nginx' was not found", "nginx"),
        ("E: Couldn't find any package by glob 'nginx.x'", "nginx.x"),
    ],
)
def test_what_apt_says_of_unknown_packages(line: str, name: str) -> None:
    found = NOT_FOUND.search(line)
    assert found is not None and name in found.groups()


def test_only_complaints_about_the_unit_itself_count() -> None:
    other = "/lib/systemd/system/x.service:3: Unknown key\nshop.service: Command /srv/x is not executable"
    refuse_bad_lines("/etc/systemd/system/shop.service", "/run/c/shop.service", other)
    with pytest.raises(ResourceError, match=r"/etc/systemd/system/shop.service:2: Unknown key name 'Foo'"):
        refuse_bad_lines(
            "/etc/systemd/system/shop.service", "/run/c/shop.service", "/run/c/shop.service:2: Unknown key name 'Foo'"
        )


def test_plan_cannot_know_a_line_of_a_file_that_is_written_before(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("a\n")
    plan = Overlay()
    wanted = LineInFile(str(tmp_path / "conf"), "a")
    plan.cannot_foresee("Package[nginx]")
    assert wanted.current(plan) == {"line": "a"}
    plan.put_unknown(str(tmp_path / "conf"), f"RemoteFile[{tmp_path}/conf]", "file")
    with pytest.raises(CannotKnow, match="is brought by RemoteFile"):
        wanted.current(plan)


class Scope:
    """What node.ensure gives to bind, with one app."""

    def __init__(self, **app: object) -> None:
        self.node = SimpleNamespace(apps={"shop": app})


def test_each_rollback_command_goes_one_further_back(tmp_path: Path) -> None:
    for text in "abc":
        converge(release(tmp_path, text))
    for text in "ba":
        converge(release(tmp_path).bind(Scope(rollback=1)))
        assert (tmp_path / "shop/current/server.py").read_text() == text
    with pytest.raises(ResourceError, match="nothing was changed"):
        converge(release(tmp_path).bind(Scope(rollback=1)))


def test_app_without_an_artifact_says_what_lacks(tmp_path: Path) -> None:
    with pytest.raises(CookbookError, match="nothing was sent for the app 'shop'"):
        release(tmp_path).bind(Scope())


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a link of another user")
def test_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root's\n")
    (tmp_path / "link").symlink_to(tmp_path / "shadow")
    os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(ResourceError, match="it is not followed"):
        converge(File(str(tmp_path / "link"), "theirs\n"))
    assert (tmp_path / "shadow").read_text() == "root's\n"
