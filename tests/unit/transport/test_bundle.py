"""The bundle is complete, small, the same everywhere, and its command is one that any login shell passes on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from cookline.control.transport import bundle as bundles
from cookline.control.transport import bytecode
from cookline.control.transport.base import Target
from cookline.control.transport.bundle import MACHINES, PACKAGE, boot_command, bundle
from cookline.errors import UsageError
from cookline.protocol import content_hash


@pytest.mark.parametrize("machine", MACHINES)
def test_each_architecture_gets_the_host_wing_and_its_own_libraries(machine: str) -> None:
    made = bundle()
    manifest = made.manifest(made.hashes[machine])
    paths = [path for path, _, _ in manifest]
    for path in ("cookline/__init__.py", "cookline/protocol.py", "cookline/errors.py", "cookline/host/landing.py"):
        assert path in paths
    for path in ("jinja2/environment.py", "markupsafe/_native.py", "psutil/_pslinux.py", "watchdog/observers/inotify.py"):
        assert path in paths
    assert [path for path in paths if path.endswith(".so")] == ["psutil/_psutil_linux.abi3.so"]
    assert not [path for path in paths if path.startswith(("cookline/control", "cookline/cli", "cookline/cloudwatch"))]
    assert [path for path in paths if "LICENSE" in path]


def test_architectures_differ_in_compiled_files_alone() -> None:
    made = bundle()
    first, second = ({(path, content) for path, _, content in made.manifest(tree)} for tree in made.hashes.values())
    assert {path for path, _ in first ^ second} == {"psutil/_psutil_linux.abi3.so"}


def test_contents_are_what_the_manifest_says() -> None:
    made = bundle()
    for tree in made.hashes.values():
        for _, _, content in made.manifest(tree):
            with made.open(content) as file:
                assert content_hash(file.read()) == content


def test_modules_are_compiled_for_this_python_alone_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bundles, "RECIPE_VERSION", 998)
    tag = sys.implementation.cache_tag
    made = bundle().compiled(tag)
    assert bundle().compiled("cpython-30").sizes == ()
    places = dict(made.sizes)
    assert f"cookline/host/__pycache__/system.{tag}.pyc" in places and f"jinja2/__pycache__/lexer.{tag}.pyc" in places
    assert len(zlib.decompress(made.packed)) == sum(places.values())
    assert bytecode.recall("another key") is None
    monkeypatch.setattr(bytecode, "compiled", lambda modules: pytest.fail("compiled again"))
    bundles._bundle.cache_clear()
    assert bundle().compiled(tag) == made
    (tmp_path / "cookline" / bytecode.NAME).write_bytes(b"broken")
    assert bytecode.recall("any key") is None


def test_what_was_compiled_is_loaded_without_a_look_at_the_source(tmp_path: Path) -> None:
    made = bytecode.compiled({"one/part.py": b"value = 1\n"})
    [(path, _)] = made.sizes
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(zlib.decompress(made.packed))
    (tmp_path / "one" / "part.py").write_text("value = 2\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from one import part; print(part.value)"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True).stdout == "1\n"


def test_a_changed_file_changes_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "cookline"
    (package / "host").mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "protocol.py", "host/landing.py"):
        (package / name).write_text((PACKAGE / name).read_text())
    monkeypatch.setattr(bundles, "PACKAGE", package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = bundle().hashes
    assert bundle().hashes == before
    (package / "host/landing.py").write_text("changed = True\n")
    assert set(bundle().hashes.values()).isdisjoint(before.values())


def test_it_is_remembered_privately_and_a_broken_memory_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(bundles, "RECIPE_VERSION", 999)
    memory = tmp_path / "cache/cookline/bundle.json"
    memory.parent.mkdir(parents=True)
    memory.write_text("{broken")
    made = bundle()
    assert memory.stat().st_mode & 0o077 == 0
    assert json.loads(memory.read_text())["manifests"].keys() == made.hashes.keys()


def test_a_checkout_without_wheels_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "WHEELS", tmp_path)
    with pytest.raises(UsageError, match="wheels that hosts need") as caught:
        bundle()
    assert "pip install -e ." in str(caught.value.hint)


# -- the command -------------------------------------------------------------------------------------------------------

HASHES = {"x86_64": "a" * 64, "aarch64": "b" * 64}


def test_sudo_stands_before_users_that_are_not_root_unless_they_stay_themselves() -> None:
    def words(**fields: object) -> list[str]:
        return shlex.split(boot_command(Target("i", "a", **fields), HASHES))  # type: ignore[arg-type]

    assert words(user="root")[:4] == ["exec", "env", "LC_ALL=C.UTF-8", "python3"]
    assert words(user="ops")[3:8] == ["sudo", "-n", "-H", "--", "python3"]
    assert words(user="ops", become=False)[3] == "python3"
    assert words(user="root", python="/opt/my python")[3] == "/opt/my python"


def test_the_command_is_one_line_without_what_login_shells_disagree_on() -> None:
    command = boot_command(Target("i", "a", user="ops"), HASHES)
    assert "\n" not in command
    assert "\\\\" not in command
    assert "!" not in command
    assert len(command) < 4096


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_the_loader_refuses_a_machine_that_there_is_no_bundle_for(shell: str) -> None:
    target = Target("i", "a", user="root", python=sys.executable)
    done = subprocess.run([shell, "-c", boot_command(target, {"vax": "c" * 64})], capture_output=True, text=True)
    assert json.loads(done.stdout) == {"kind": "refused", "reason": "machine", "found": os.uname().machine}


def test_the_loader_asks_for_the_tree_that_it_lacks(tmp_path: Path) -> None:
    machine = os.uname().machine
    command = boot_command(Target("i", "a", user="root", python=sys.executable), {machine: "d" * 64})
    environment = {**os.environ, "COOKLINE_STATE": str(tmp_path)}
    done = subprocess.run(["sh", "-c", command], input=b"", capture_output=True, env=environment)
    assert json.loads(done.stdout) == {"kind": "need", "trees": ["d" * 64], "python": sys.implementation.cache_tag}
