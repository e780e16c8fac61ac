"""Archive in a directory of the test's own: zip members that are refused, stripping, upgrades, what is in the way."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host import zip_archive
from cookline.host.archive import BadArchive
from cookline.host.resources import archive
from cookline.host.resources.archive import Archive
from cookline.host.resources.base import differences
from cookline.host.system import System

HOST = System()


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RECORDS", str(tmp_path / "records"))


def zipped(path: Path, members: dict[str, str], modes: dict[str, int] | None = None) -> str:
    with zipfile.ZipFile(path, "w") as opened:
        for name, text in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o100644) << 16
            opened.writestr(info, text)
    return str(path)


def tarred(path: Path, members: dict[str, str]) -> str:
    with tarfile.open(path, "w:gz") as opened:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            opened.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def converge(resource: Archive) -> list[str]:
    changes = differences(resource.current(HOST), resource.desired())
    if changes:
        resource.apply(HOST, changes)
    assert differences(resource.current(HOST), resource.desired()) == {}
    return sorted(changes)


def tree(path: Path) -> dict[str, str]:
    return {str(each.relative_to(path)): each.read_text() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.mark.parametrize(
    ("name", "text", "mode", "message"),
    [
        ("../a", "", 0o100644, "leads out"),
        ("/a", "", 0o100644, "leads out"),
        ("a", "../../b", stat.S_IFLNK | 0o777, "leads out"),
        ("a", "", 0o104755, "setuid"),
        ("a", "", stat.S_IFIFO | 0o644, "device or a pipe"),
    ],
)
def test_members_of_zip_archives_that_are_refused(tmp_path: Path, name: str, text: str, mode: int, message: str) -> None:
    path = zipped(tmp_path / "a.zip", {name: text}, {name: mode})
    (tmp_path / "to").mkdir()
    with pytest.raises(BadArchive, match=message):
        zip_archive.unpack(HOST, path, str(tmp_path / "to"))
    assert tree(tmp_path / "to") == {} and not (tmp_path / "a").exists()


def test_a_member_behind_a_link_of_a_zip_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"d/": "", "l": "d", "l/x": "evil"}, {"l": stat.S_IFLNK | 0o777, "d/": 0o40755})
    (tmp_path / "to").mkdir()
    with pytest.raises(BadArchive, match="behind a link"):
        zip_archive.unpack(HOST, path, str(tmp_path / "to"))


def test_a_broken_archive_says_so(tmp_path: Path) -> None:
    for text in ("PK is no zip", "nor a tar"):
        (tmp_path / "a").write_text(text)
        with pytest.raises(BadArchive, match="no archive that can be read"):
            converge(Archive(str(tmp_path / "to"), str(tmp_path / "a")))
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_newer_archive_replaces_what_the_older_one_brought_and_no_more(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path, target = tmp_path / "archive", tmp_path / "to"
    resource = Archive(str(target), str(path), strip=1)
    pack(path, {"v1/bin/a": "1", "v1/old/b": "1", "readme": "x"})
    assert converge(resource) == ["archive"]
    assert tree(target) == {"bin/a": "1", "old/b": "1"}
    (target / "mine").write_text("mine")
    assert converge(resource) == []
    pack(path, {"v2/bin/a": "22", "v2/bin/c": "2"})
    assert converge(resource) == ["archive"]
    assert tree(target) == {"bin/a": "22", "bin/c": "2", "mine": "mine"}
    assert converge(resource.replace(exists=False, source="")) == ["exists"]
    assert tree(target) == {"mine": "mine"} and not (target / "bin").exists()


def test_what_is_in_the_way_is_told_before_anything_moves(tmp_path: Path) -> None:
    target = tmp_path / "to"
    (target / "z").mkdir(parents=True)
    with pytest.raises(ResourceError, match="to/z is in the way: a directory stands there"):
        converge(Archive(str(target), tarred(tmp_path / "a", {"a": "1", "z": "1"})))
    os.rmdir(target / "z")
    (target / "z").symlink_to("/tmp")
    with pytest.raises(ResourceError, match="leads out of"):
        converge(Archive(str(target), tarred(tmp_path / "a", {"a": "1", "z/b": "1"})))
    assert [each.name for each in target.iterdir()] == ["z"]


def test_another_hash_is_not_unpacked_and_too_much_stripping_is_an_error(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a", {"a/b": "1"})
    with pytest.raises(ResourceError, match="it is not unpacked"):
        converge(Archive(str(tmp_path / "to"), path, sha256="0" * 64))
    with pytest.raises(ResourceError, match="has nothing in it below 2 directories"):
        converge(Archive(str(tmp_path / "to"), path, strip=2))


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="does not exist"):
        converge(Archive(str(tmp_path / "to"), str(tmp_path / "a")))
