"""What the shell offers after Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

ASKED = {"_COOKLINE_COMPLETE": "complete_bash", "PYTHONWARNINGS": "error"}


def offered(line: str, directory: Path) -> list[str]:
    """What bash would offer for the last word of a line."""
    program = [sys.executable, "-m", "cookline.cli"]
    words = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "COOKLINE_DIRECTORY": str(directory / ".cookline"),
    }
    done = subprocess.run(program, env={**os.environ, **ASKED, **words}, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cookline sta", ["start", "status"]),
        ("cookline configure s", ["shop"]),
        ("cookline stop shop w", ["web1"]),
        ("cookline stop other w", ["web1"]),
        ("cookline facts w", ["web1"]),
        ("cookline status x", []),
        ("cookline deploy shop --max", ["--max-unavailable"]),
    ],
)
def test_names_of_commands_options_stacks_and_instances(command: Run, project: Path, line: str, expected: list[str]) -> None:
    assert command("push", "shop.yml")[0] == 0
    assert offered(line, project) == expected


def test_where_nothing_was_pushed_nothing_is_offered_and_nothing_made(tmp_path: Path) -> None:
    assert offered("cookline configure s", tmp_path) == []
    assert list(tmp_path.iterdir()) == []
