"""What the container provider decides before it touches the machine."""

from __future__ import annotations

import errno
import ipaddress
import queue
import threading
from pathlib import Path

import pytest

from cookline.control.providers.base import HostRequest
from cookline.control.providers.container import requirements
from cookline.control.providers.container.addresses import hidden_by, needed_addresses
from cookline.control.providers.container.image import RECIPES, ensure, recipe
from cookline.control.providers.container.network import RANGES, check_range, slices
from cookline.control.providers.container.project import Project, lock
from cookline.control.providers.container.settings import check_settings
from cookline.errors import CommandError, DiskFull, RunError, UsageError


def network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


def test_ranges_are_tried_in_an_order_of_the_projects_own() -> None:
    first, second = list(slices("aaaaaa")), list(slices("bbbbbb"))
    assert first != second
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 512
    assert all(any(part.subnet_of(whole) for whole in RANGES) for part in first)


@pytest.mark.parametrize(
    ("needed", "hidden"),
    [("198.19.7.53/32", True), ("198.19.0.0/16", True), ("198.19.8.1/32", False), ("10.0.0.0/8", False)],
)
def test_a_range_hides_what_lies_in_it_or_around_it(needed: str, hidden: bool) -> None:
    assert bool(hidden_by(network("198.19.7.0/24"), [("a nameserver", network(needed))])) is hidden


def test_a_range_that_would_hide_a_registry_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"10\.7\.0\.0/24 would hide the package registry deb\.example \(10\.7\.0\.9/32\)"):
        check_range("10.7.0.0/24", [("the package registry deb.example", network("10.7.0.9/32"))])


@pytest.mark.parametrize("text", ["10.7.0.0/25", "10.7.0.1/24", "here", "fd00::/64"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        check_range(text, [])


def test_the_machine_needs_its_own_addresses() -> None:
    assert ("the address of lo", network("127.0.0.0/8")) in needed_addresses()


def test_registries_are_found_in_the_variables_that_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@127.9.9.9:3128/")
    assert ("the package registry 127.9.9.9", network("127.9.9.9/32")) in needed_addresses()


def test_numbers_are_given_once_and_reused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for name in ("a", "b", "c"):
        project.save(project.add(name, "hash"))
    assert [record.number for name in project.names() if (record := project.find(name))] == [1, 2, 3]
    project.forget("b")
    assert project.add("d", "hash").number == 2
    assert project.names() == ["a", "c"]
    assert project.find("b") is None


def test_two_projects_call_nothing_by_the_same_name(tmp_path: Path) -> None:
    labels = set()
    for directory in (tmp_path / "one", tmp_path / "two"):
        project = Project(directory)
        labels.add(project.label(project.add("web1", "hash")))
    assert len(labels) == 2
    assert all(len(label) <= 15 for label in labels), "the kernel's limit for the name of a link"


@pytest.mark.parametrize("name", ["../web", "", "a/b", "-rf", "ünsafe"])
def test_a_name_that_could_be_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Project(tmp_path).find(name)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"packages": "nginx"}, "wants a list of names"),
        ({"kind": "heavy"}, "the one kind is light"),
        ({"kind": "light", "packages": ["nginx"]}, "a light host has no packages"),
        ({"imgae": "debian-12"}, "did you mean 'image'"),
        ({"image": "debian12"}, "did you mean 'debian-12'"),
    ],
)
def test_wrong_settings_are_named_with_the_right_ones(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_settings(HostRequest("web1", settings))


def test_each_image_has_a_hash_of_its_own_that_stays() -> None:
    hashes = {name: recipe(name).hash for name in RECIPES}
    assert len(set(hashes.values())) == len(hashes)
    assert hashes == {name: recipe(name).hash for name in RECIPES}


def test_missing_programs_are_named_with_the_one_command_that_brings_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(requirements, "PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        requirements.require_programs("systemd-nspawn", "mmdebstrap")
    assert "systemd-nspawn, mmdebstrap" in caught.value.message
    assert caught.value.hint == "sudo apt-get install --yes mmdebstrap systemd-container"


def test_a_full_disk_is_told_as_one_whoever_meets_it(tmp_path: Path) -> None:
    said = CommandError("mmdebstrap", 25, stderr="E: write failed (28: No space left on device)")
    for error in (OSError(errno.ENOSPC, "No space left on device"), said):
        with (
            pytest.raises(DiskFull, match=f"the disk of {tmp_path} is full: the image takes 300 MB") as caught,
            requirements.room(tmp_path, "the image takes 300 MB"),
        ):
            raise error
        assert "XDG_CACHE_HOME" in str(caught.value.hint)
    with pytest.raises(PermissionError), requirements.room(tmp_path, "the image takes 300 MB"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_damaged_image_is_named_with_the_command_that_makes_room_for_a_new_one(tmp_path: Path) -> None:
    image = tmp_path / "images" / recipe("debian-12").hash
    image.mkdir(parents=True)
    (image / "complete").touch()
    with pytest.raises(RunError, match="the image debian-12 in the cache is damaged: rootfs/") as caught:
        ensure("debian-12", tmp_path, lambda text: None)
    assert f"sudo rm -r {image}" in str(caught.value.hint)


def test_who_waits_for_another_that_builds_the_image_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PATH", str(tmp_path))
    (tmp_path / "mmdebstrap").touch(mode=0o755)  # looked for, never started
    place = tmp_path / "images" / recipe("debian-12").hash
    place.parent.mkdir()
    told: queue.Queue[str] = queue.Queue()
    with lock(place.with_suffix(".lock")):
        thread = threading.Thread(target=lambda: ensure("debian-12", tmp_path, told.put), daemon=True)
        thread.start()
        assert told.get(timeout=30) == "another command builds the image debian-12; waiting for it"
        place.mkdir()
        (place / "complete").touch()
    thread.join(30)
    assert not thread.is_alive()
