"""The built wheel, installed where there is no checkout: cookbooks, stacks and what hosts need have come along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUNDLE = "from cookline.control.transport.bundle import bundle; import cookline; print(cookline.__file__, bundle().hashes)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel; what cookline depends on is lent from this environment."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(ROOT))
    run(sys.executable, "-m", "venv", "--without-pip", str(place / "env"))
    own = next((place / "env/lib").glob("python3*")) / "site-packages"
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    [wheel] = place.glob("cookline-*.whl")
    run(*pip, "--python", str(place / "env/bin/python"), "install", "--no-deps", "--no-index", str(wheel))
    return place / "env/bin"


def run(*words: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COOKLINE"))}
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_shop_stack_can_be_pushed_from_anywhere(installed: Path, tmp_path: Path) -> None:
    where = "from cookline.control.stack.cookbooks import packaged_stacks; print(packaged_stacks())"
    stacks = run(str(installed / "python"), "-c", where, cwd=tmp_path).strip()
    assert not stacks.startswith(str(ROOT))
    run(str(installed / "cookline"), "push", f"{stacks}/shop.yml", cwd=tmp_path)
    status = json.loads(run(str(installed / "cookline"), "status", "shop", "--json", cwd=tmp_path))
    assert {each["name"] for each in status["instances"]} == {"lb1", "app1", "app2", "db1"}


def test_hosts_get_the_same_as_from_a_checkout(installed: Path, tmp_path: Path) -> None:
    place, _, hashes = run(str(installed / "python"), "-c", BUNDLE, cwd=tmp_path).partition(" ")
    assert not place.startswith(str(ROOT))
    assert (
        hashes
        == subprocess.run(
            [sys.executable, "-c", BUNDLE], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout.partition(" ")[2]
    )
