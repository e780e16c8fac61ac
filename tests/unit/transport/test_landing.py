"""Trees arrive on the host whole, verified and private, or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest

from cookline.control.transport.trees import Tree
from cookline.host import garbage, landing
from cookline.protocol import content_hash, tree_hash

BOOK = {"recipes/default.py": b"def recipe(node):\n    pass\n", "files/motd": b"welcome\n", "files/again": b"welcome\n"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COOKLINE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


class Controller:
    """What a controller sends, prepared in full; `said` is what the host answered."""

    def __init__(self, *parts: Any) -> None:
        self.said: list[dict[str, Any]] = []
        encoded = [part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n" for part in parts]
        self.stream = io.BufferedReader(io.BytesIO(b"".join(encoded)))

    def land(self, *trees: str, **options: Any) -> None:
        landing.land(trees, self.stream.readline, self.stream.read, self.said.append, **options)


def offer(contents: dict[str, bytes], *, sent: list[bytes] | None = None) -> tuple[str, Controller]:
    tree = Tree.of_contents(contents)
    unique = list(dict.fromkeys(contents[path] for path, _, _ in tree.manifest))
    bodies = unique if sent is None else sent
    sizes = {"sizes": [len(body) for body in bodies]}
    return tree.hash, Controller({"tree": tree.hash, "files": tree.manifest}, sizes, *bodies)


def left_over(state: Path) -> list[str]:
    return [path.name for path in state.rglob(".incoming*")]


def refusal(controller: Controller, *trees: str) -> dict[str, Any]:
    with pytest.raises(SystemExit):
        controller.land(*trees)
    assert controller.said[-1]["kind"] == "refused"
    return controller.said[-1]


def test_a_tree_arrives_whole_and_each_content_once(state: Path) -> None:
    tree, controller = offer(BOOK)
    controller.land(tree)
    place = state / "trees" / tree
    assert {path: (place / path).read_bytes() for path in BOOK} == BOOK
    assert (place / "files/motd").samefile(place / "files/again")
    assert [message["kind"] for message in controller.said] == ["need", "lacks"]
    assert len(controller.said[1]["files"]) == 2


def test_modules_that_came_compiled_lie_beside_their_source_and_count_for_nothing(state: Path) -> None:
    tree, controller = offer(BOOK)
    packed = zlib.compress(b"compiled")
    controller.stream = io.BufferedReader(io.BytesIO(packed + controller.stream.read()))
    place = "recipes/__pycache__/default.cpython-311.pyc"
    controller.land(tree, compiled=([[place, 8]], len(packed)))
    assert (state / "trees" / tree / place).read_bytes() == b"compiled"
    assert place not in (state / "trees" / tree / ".complete").read_text()


@pytest.mark.parametrize(("packed", "reason"), [(zlib.compress(b"compiled"), "manifest"), (b"compiled", "protocol")])
def test_a_compiled_module_comes_whole_and_stays_inside_its_tree(state: Path, packed: bytes, reason: str) -> None:
    tree, controller = offer(BOOK)
    controller.stream = io.BufferedReader(io.BytesIO(packed + controller.stream.read()))
    with pytest.raises(SystemExit):
        controller.land(tree, compiled=([["../x", 8]], len(packed)))
    assert (controller.said[-1]["reason"], left_over(state)) == (reason, [])


def test_nobody_but_its_owner_can_read_what_landed(state: Path) -> None:
    tree, controller = offer(BOOK)
    controller.land(tree)
    for path in [state, *state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_tree_that_is_there_is_not_asked_for_again() -> None:
    tree, controller = offer(BOOK)
    controller.land(tree)
    silent = Controller()
    silent.land(tree, tree)
    assert silent.said == []


def test_only_what_another_tree_did_not_bring_travels() -> None:
    offer(BOOK)[1].land(offer(BOOK)[0])
    contents = {**BOOK, "files/new": b"fresh"}
    tree, controller = offer(contents, sent=[b"fresh"])
    controller.land(tree)
    assert controller.said[1]["files"] == [content_hash(b"fresh")]


def test_a_content_that_was_damaged_on_disk_is_fetched_again(state: Path) -> None:
    tree, controller = offer(BOOK)
    controller.land(tree)
    damaged = state / "objects" / content_hash(b"welcome\n")
    damaged.write_bytes(b"")
    contents = {"files/motd": b"welcome\n"}
    second, controller = offer(contents)
    controller.land(second)
    assert (state / "trees" / second / "files/motd").read_bytes() == b"welcome\n"


def test_a_content_that_does_not_hash_to_its_name_is_refused(state: Path) -> None:
    tree, controller = offer({"motd": b"good"}, sent=[b"evil"])
    assert refusal(controller, tree)["reason"] == "hash"
    assert not (state / "trees" / tree).exists()
    assert left_over(state) == []


def test_a_manifest_that_does_not_hash_to_its_name_is_refused(state: Path) -> None:
    manifest = Tree.of_contents(BOOK).manifest
    wrong = "0" * 64
    assert refusal(Controller({"tree": wrong, "files": manifest}), wrong)["reason"] == "hash"


@pytest.mark.parametrize(
    "entry",
    [
        ["/etc/passwd", "0644", "a" * 64],
        ["../escape", "0644", "a" * 64],
        ["files/../../escape", "0644", "a" * 64],
        ["files//double", "0644", "a" * 64],
        ["", "0644", "a" * 64],
        [".complete", "0644", "a" * 64],
        ["nul\0byte", "0644", "a" * 64],
        ["x" * 600, "0644", "a" * 64],
        ["setuid", "4755", "a" * 64],
        ["writable", "0666", "a" * 64],
        ["file", "0644", "../../etc/shadow"],
        ["file", "0644", "A" * 64],
        ["file", "0644"],
        "file",
    ],
)
def test_an_entry_that_could_leave_its_tree_is_refused(entry: Any, state: Path) -> None:
    tree = tree_hash([entry]) if isinstance(entry, list) else "b" * 64
    assert refusal(Controller({"tree": tree, "files": [entry]}), tree)["reason"] == "manifest"
    assert list((state / "trees").iterdir()) == []


def test_a_path_that_stands_twice_is_refused() -> None:
    entry = ["file", "0644", "a" * 64]
    tree = tree_hash([entry, entry])
    assert "twice" in refusal(Controller({"tree": tree, "files": [entry, entry]}), tree)["error"]


def test_too_many_files_are_refused() -> None:
    manifest = [[f"file{number}", "0644", "a" * 64] for number in range(landing.MAX_FILES + 1)]
    tree = tree_hash(manifest)
    assert refusal(Controller({"tree": tree, "files": manifest}), tree)["reason"] == "manifest"


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    manifest = [["file", "0644", "a" * 64]]
    tree = tree_hash(manifest)
    controller = Controller({"tree": tree, "files": manifest}, {"sizes": [landing.MAX_TREE_BYTES + 1]})
    assert refusal(controller, tree)["reason"] == "manifest"


def test_a_tree_that_does_not_fit_on_the_disk_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "SPARE_BYTES", 10**18)
    manifest = [["file", "0644", "a" * 64]]
    tree = tree_hash(manifest)
    assert refusal(Controller({"tree": tree, "files": manifest}, {"sizes": [1]}), tree)["reason"] == "space"


def test_a_stream_that_ends_in_a_file_leaves_nothing_behind(state: Path) -> None:
    tree = Tree.of_contents({"file": b"0123456789"})
    controller = Controller({"tree": tree.hash, "files": tree.manifest}, {"sizes": [10]}, b"01234")
    assert refusal(controller, tree.hash)["reason"] == "protocol"
    assert left_over(state) == []


@pytest.mark.parametrize("answer", [b"not json\n", b"[]\n", b'{"tree": 1}\n', b""])
def test_a_controller_that_does_not_keep_to_the_protocol_is_refused(answer: bytes) -> None:
    assert refusal(Controller(answer), "c" * 64)["reason"] == "protocol"


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("COOKLINE_STATE", str(tmp_path / "occupied/state"))
    controller = Controller()
    assert refusal(controller, "d" * 64)["reason"] == "io"
    assert os.strerror(errno.ENOTDIR) in controller.said[-1]["error"]


def test_a_recipe_that_does_not_compile_lands_all_the_same(state: Path) -> None:
    tree, controller = offer({"recipes/broken.py": b"def recipe(node:\n"})
    controller.land(tree)
    assert (state / "trees" / tree / ".complete").exists()


def test_the_host_names_trees_as_the_controller_does() -> None:
    manifest = Tree.of_contents({"päth": b"1", "b": b"2"}).manifest
    assert landing.tree_hash(manifest) == tree_hash(list(reversed(manifest)))


# -- garbage -----------------------------------------------------------------------------------------------------------

LATER = 10 * garbage.COLLECT_AFTER_SECONDS


def land(contents: dict[str, bytes]) -> str:
    tree, controller = offer(contents)
    controller.land(tree)
    return tree


def collect(state: Path) -> list[str]:
    return garbage.collect_garbage(now=(state / "trees").stat().st_mtime + LATER)


def test_trees_of_kept_runs_and_of_the_agent_stay(state: Path) -> None:
    book, bundle, agent, unused = (land({"file": name}) for name in (b"book", b"bundle", b"agent", b"unused"))
    run = state / "runs" / "01J"
    run.mkdir(parents=True)
    (run / "request.json").write_text(json.dumps({"trees": {"cookbook:x": book}, "bundle": bundle}))
    (state / "agent").symlink_to(f"trees/{agent}")
    assert collect(state) == [unused]
    assert sorted(os.listdir(state / "trees")) == sorted([book, bundle, agent])
    assert sorted(os.listdir(state / "objects")) == sorted(content_hash(one) for one in (b"book", b"bundle", b"agent"))


def test_young_trees_stay_for_a_session_that_has_not_begun_its_run(state: Path) -> None:
    tree = land({"file": b"young"})
    assert garbage.collect_garbage() == []
    assert (state / "trees" / tree).exists()


def test_what_a_power_cut_left_half_made_goes(state: Path) -> None:
    land({"file": b"whole"})
    (state / "trees/.incoming-x.12").mkdir()
    (state / "objects/.incoming-y.12").write_bytes(b"half")
    collect(state)
    assert left_over(state) == []


def test_an_empty_host_has_nothing_to_collect() -> None:
    assert garbage.collect_garbage() == []
