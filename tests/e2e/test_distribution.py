"""What `pip install` brings is whole: the code, what hosts need, the cookbooks and the stacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "agent/cookline/control/transport/wheels"
PARTS = ("agent", "cookbooks", "stacks", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE", ".gitignore")


def pip(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # the build's own requirements are those of this environment
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--no-build-isolation", "--no-deps"]
    # no test asks a registry: what a build downloads comes from what this checkout has downloaded
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would check out."""
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        place = ROOT / part
        if place.is_dir():
            shutil.copytree(place, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / part)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    done = pip("wheel", ".", "--wheel-dir", "made", cwd=source)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (source / "made").glob("cookline-*.whl")
    return wheel


def test_cookbooks_stacks_and_the_wheels_for_hosts_travel_in_it(wheel: Path, source: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for part in ("cookbooks", "stacks"):
        files = {path.relative_to(source).as_posix() for path in (source / part).rglob("*") if path.is_file()}
        assert {f"cookline/share/{file}" for file in files} <= names
    carried = [Path(name).name for name in names if name.startswith("cookline/control/transport/wheels/")]
    assert sorted(name.split("-")[0].lower() for name in carried) == [
        "jinja2", "markupsafe", "psutil", "psutil", "watchdog", "watchdog",
    ]  # fmt: skip


def test_what_is_installed_pushes_the_shipped_stack_and_has_the_bundle_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    done = pip("install", "--target", str(place), str(wheel), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    environment = {**os.environ, "PYTHONPATH": str(place), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def python(*arguments: str, path: str = str(place)) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**environment, "PYTHONPATH": path})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    bundle = "from cookline.control.transport.bundle import bundle; print(sorted(bundle().hashes.items()))"
    assert python("-c", bundle) == python("-c", bundle, path=str(ROOT / "agent"))
    python("-m", "cookline.cli", "push", f"{place}/cookline/share/stacks/shop.yml")


def test_a_wheel_that_does_not_hash_to_its_pin_stops_the_build(source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(source, broken, ignore=shutil.ignore_patterns("*.whl", "made"))
    lock = broken / "agent/cookline/control/transport/wheels.lock"
    lock.write_text(lock.read_text().replace("85ece4451f492d0c", "0000000000000000"))
    done = pip("wheel", ".", "--wheel-dir", "made", cwd=broken)
    assert done.returncode != 0
    assert "does not hash to what is pinned in agent/cookline/control/transport/wheels.lock" in done.stderr + done.stdout


def test_a_checkout_without_cookbooks_builds_too(source: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(source, bare, ignore=shutil.ignore_patterns("made", "cookbooks", "stacks"))
    (bare / "cookbooks").mkdir()
    done = pip("wheel", ".", "--wheel-dir", "made", cwd=bare)
    assert done.returncode == 0, done.stdout + done.stderr
