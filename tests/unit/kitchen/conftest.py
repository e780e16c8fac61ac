"""A project with one cookbook, `web`, in a folder of the test's own."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(
            "cookbooks/web/cookbook.yml",
            "name: web\nattributes:\n  port: {type: integer, default: 80, doc: Where it listens.}\n",
        )
        self.write("cookbooks/web/recipes/default.py", "def recipe(node):\n    pass\n")
        self.write("cookbooks/web/tests/test_web.py", "def test_nothing():\n    pass\n")

    def write(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
        return target

    def kitchen(self, text: str) -> Path:
        return self.write("cookbooks/web/kitchen.yml", text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
