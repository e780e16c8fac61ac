"""Archives: what is unpacked, and what never is."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from cookline.host import archive
from cookline.host.system import PlanWrite, System


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "release").mkdir()
    return tmp_path


def unpack(place: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(place / "archive", "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    archive.unpack(System(), str(place / "archive"), str(place / "release"))
    return place / "release"


def test_files_directories_and_links_are_unpacked(place: Path) -> None:
    release = unpack(
        place,
        member("./", type=tarfile.DIRTYPE),
        member("./bin/run", b"#!/bin/sh\n", mode=0o777),
        member("lib/data", b"data", mode=0o666),
        link("bin/data", "../lib/data"),
        link("copy", "./lib/data", tarfile.LNKTYPE),
    )
    assert (release / "bin/run").stat().st_mode & 0o7777 == 0o755
    assert (release / "lib/data").stat().st_mode & 0o7777 == 0o644
    assert (release / "bin/data").read_bytes() == (release / "copy").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([member("/etc/passwd", b"x")], "leads out"),
        ([member("../x", b"x")], "leads out"),
        ([member("a/../../x", b"x")], "leads out"),
        ([link("a", "/etc/passwd")], "leads out"),
        ([link("a/b", "../../x")], "leads out"),
        ([link("a", "b"), member("a/x", b"x")], "behind a link"),
        ([link("a", "b"), member("a", b"x")], "behind a link"),
        ([link("d/e/up", ".."), link("out", "d/e/up/../..")], "leads out"),
        ([link("a", "b", tarfile.LNKTYPE)], "no file before it"),
        ([link("a", "../b", tarfile.LNKTYPE)], "leads out"),
        ([member("a", type=tarfile.CHRTYPE)], "device or a pipe"),
        ([member("a", type=tarfile.FIFOTYPE)], "device or a pipe"),
        ([member("a", b"x", mode=0o4755)], "setuid"),
        ([member("a", b"x", mode=0o2755)], "setuid"),
    ],
)
def test_a_member_that_must_not_be_unpacked_is_named(
    place: Path, bad: list[tuple[tarfile.TarInfo, bytes]], reason: str
) -> None:
    with pytest.raises(archive.BadArchive, match=reason):
        unpack(place, *bad)
    assert sorted(path.name for path in place.iterdir()) == ["archive", "release"]


def test_number_and_size_are_bounded(place: Path) -> None:
    unpack(place, member("a", b"12345"), member("b", b"12345"))
    with tarfile.open(place / "archive") as tar, pytest.raises(archive.BadArchive, match="more than 1 members"):
        list(archive.checked(tar, max_members=1))
    with tarfile.open(place / "archive") as tar, pytest.raises(archive.BadArchive, match="more than 9 bytes"):
        list(archive.checked(tar, max_bytes=9))


def test_what_is_no_archive_is_said_so(place: Path) -> None:
    (place / "archive").write_bytes(os.urandom(100))
    with pytest.raises(archive.BadArchive, match="no archive that can be read"):
        archive.unpack(System(), str(place / "archive"), str(place / "release"))


def test_cut_off_archive_is_refused(place: Path) -> None:
    unpack(place, member("a", os.urandom(100_000)))
    content = (place / "archive").read_bytes()
    (place / "archive").write_bytes(content[: len(content) // 2])
    with pytest.raises(archive.BadArchive):
        archive.unpack(System(), str(place / "archive"), str(place / "release"))


def test_a_plan_unpacks_nothing(place: Path) -> None:
    with pytest.raises(PlanWrite):
        archive.unpack(System(apply=False), str(place / "archive"), str(place / "release"))
