"""A plan of resources that build on each other: each sees what the ones before it would leave, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import cookline
from cookline.errors import CooklineError
from cookline.host import mounts
from cookline.host.foresight import CannotKnow
from cookline.host.overlay import Overlay
from cookline.host.resources.base import Resource, differences


def planned(host: Overlay, resource: Resource) -> str:
    """The verdict, as the engine comes to it."""
    try:
        desired = resource.desired()
        changes = differences(resource.current(host), desired)
    except CannotKnow:
        host.cannot_foresee(resource.name)
        return "cannot know"
    if not changes:
        return "will not"
    try:
        resource.predict(host, changes)
    except CooklineError:
        host.cannot_foresee(resource.name)
    return "will change"


@pytest.fixture
def host() -> Overlay:
    return Overlay()


def test_parts_of_a_file_that_an_earlier_resource_would_write(host: Overlay, tmp_path: Path) -> None:
    path = str(tmp_path / "case.ini")
    verdicts = [
        planned(host, cookline.File(path, "[a]\nb=1\n")),
        planned(host, cookline.IniSetting(path, "a", "b", 1)),
        planned(host, cookline.IniSetting(path, "a", "b", 2)),
        planned(host, cookline.BlockInFile(path, "x")),
        planned(host, cookline.BlockInFile(path, "x")),
        planned(host, cookline.Absent(path)),
        planned(host, cookline.Absent(path)),
    ]
    assert verdicts == ["will change", "will not", "will change", "will change", "will not", "will change", "will not"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_download_brings_is_not_guessed(host: Overlay, tmp_path: Path) -> None:
    archive, folder = str(tmp_path / "a.tar"), str(tmp_path / "a")
    assert planned(host, cookline.RemoteFile(archive, "http://127.0.0.1:9/a.tar")) == "will change"
    assert planned(host, cookline.Archive(folder, archive)) == "cannot know"
    assert planned(host, cookline.Virtualenv(f"{folder}/venv", f"{folder}/requirements.txt")) == "cannot know"
    assert list(tmp_path.iterdir()) == []


def test_lines_of_the_table_of_mounts_add_up(host: Overlay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fstab").write_text("# mine\n")
    monkeypatch.setattr(mounts, "FSTAB", str(tmp_path / "fstab"))
    assert planned(host, cookline.Mount(f"{tmp_path}/data", "tmpfs", "tmpfs")) == "will change"
    assert planned(host, cookline.SwapFile(f"{tmp_path}/swap", "1M", active=False)) == "will change"
    lines = (host.read(str(tmp_path / "fstab")) or b"").decode().splitlines()
    assert lines == ["# mine", f"tmpfs {tmp_path}/data tmpfs defaults 0 0", f"{tmp_path}/swap none swap sw 0 0"]
    assert planned(host, cookline.Absent(f"{tmp_path}/data")) == "will change"
    assert [each.name for each in tmp_path.iterdir()] == ["fstab"]


def test_a_repository_is_planned_with_its_key(host: Overlay) -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n-----END PGP PUBLIC KEY BLOCK-----\n"
    repository = cookline.AptRepository("cookline-case", "http://127.0.0.1:9/", "stable", key=key)
    if host.status("/etc/apt/sources.list.d") is None:
        pytest.skip("no apt here")
    assert planned(host, repository) == "will change"
    assert planned(host, repository) == "will not"
    text = (host.read("/etc/apt/sources.list.d/cookline-case.sources") or b"").decode()
    assert "Signed-By: /etc/apt/keyrings/cookline-case.asc\n" in text
    assert host.read("/etc/apt/keyrings/cookline-case.asc") == key.encode()
