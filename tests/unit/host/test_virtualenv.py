"""A virtual environment with a wheel of the test's own; nothing is fetched."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host.resources import virtualenv
from cookline.host.resources.base import differences
from cookline.host.resources.virtualenv import Virtualenv
from cookline.host.system import System

HOST = System()


@pytest.fixture(autouse=True)
def markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtualenv, "MARKERS", str(tmp_path / "markers"))


def wheel(directory: Path, version: str) -> None:
    directory.mkdir(exist_ok=True)
    info = f"case_app-{version}.dist-info"
    with zipfile.ZipFile(directory / f"case_app-{version}-py3-none-any.whl", "w") as opened:
        opened.writestr("case_app.py", f"VERSION = {version!r}\n")
        opened.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: case-app\nVersion: {version}\n")
        opened.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        opened.writestr(f"{info}/RECORD", "")


def converge(resource: Virtualenv) -> list[str]:
    changes = differences(resource.current(HOST), resource.desired())
    if changes:
        resource.apply(HOST, changes)
    assert differences(resource.current(HOST), resource.desired()) == {}
    return sorted(changes)


@pytest.mark.skipif(importlib.util.find_spec("ensurepip") is None, reason="this Python has no ensurepip")
def test_requirements_are_installed_upgraded_and_missed(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "wheels", version)
    fields = {"python": sys.executable, "find_links": str(tmp_path / "wheels")}
    first = Virtualenv(str(tmp_path / "venv"), ["Case.App==1.0  # the application"], **fields)
    assert converge(first) == ["case-app", "exists", "python", "requirements"]
    assert converge(first) == []
    second = Virtualenv(str(tmp_path / "venv"), ["case-app==2.0"], **fields)
    assert converge(second) == ["case-app", "requirements"]
    python = str(tmp_path / "venv/bin/python")
    script = "import case_app; print(case_app.VERSION)"
    assert subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout == "2.0\n"
    (information,) = (tmp_path / "venv").glob("lib/*/site-packages/case_app-2.0.dist-info")
    shutil.rmtree(information)
    assert second.current(HOST)["case-app"] is None
    (tmp_path / "venv/bin/python").unlink()
    assert second.current(HOST)["exists"] is False
    assert converge(Virtualenv(str(tmp_path / "venv"), exists=False)) == ["exists"]
    assert not (tmp_path / "venv").exists()


def test_lines_that_say_more_than_a_version_count_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# top\nflask[async]==3.0\n\nurllib3>=2\n-e ./here\ngunicorn\n")
    desired = Virtualenv(str(tmp_path / "venv"), str(tmp_path / "requirements.txt")).desired()
    assert {name: value for name, value in desired.items() if name != "requirements"} == {
        "exists": True,
        "python": "python3",
        "flask": "3.0",
        "gunicorn": "installed",
    }


def test_a_requirements_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"requirements.txt does not exist"):
        converge(Virtualenv(str(tmp_path / "venv"), str(tmp_path / "requirements.txt")))
