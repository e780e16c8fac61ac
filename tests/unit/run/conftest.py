"""A host in a directory: the run engine converges it in this process, as root or not."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cookline.host import paths
from cookline.host.run import journal, origin
from cookline.host.run.converge import converge
from cookline.protocol import RunRequest

# A kind of a cookbook's own: a file below the test's directory, and an action that writes down that it was done.
OWN_KINDS = """
from cookline.host.resources.base import Action, Resource, field

class Note(Resource):
    path: str
    text: str = ""
    breaks: str = ""

    def current(self, host):
        content = host.read(self.path)
        return {"exists": False} if content is None else {"text": content.decode()}

    def desired(self):
        return {"text": self.text}

    def apply(self, host, changes):
        if self.breaks == "before":
            raise RuntimeError("it broke")
        if self.breaks != "silently":
            host.write(self.path, self.text.encode(), uid=-1, gid=-1)
        if self.breaks == "after":
            raise RuntimeError("it broke")

class Tell(Action):
    path: str

    def perform(self, host):
        old = host.read(self.path) or b""
        host.write(self.path, old + b"told\\n", uid=-1, gid=-1)
"""


class Kitchen:
    """Writes cookbooks, runs them, reads journals."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.etc = directory / "etc"
        self.etc.mkdir()
        self.count = 0
        self.trees: dict[str, str] = {}
        self.cookbook("test", {"resources/kinds.py": OWN_KINDS})

    def cookbook(self, name: str, files: dict[str, str]) -> None:
        tree = f"{name}-{self.count}"
        self.count += 1
        for path, text in files.items():
            target = Path(paths.TREES) / tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))
        self.trees[f"cookbook:{name}"] = tree

    def recipe(self, text: str, **more: str) -> None:
        imports = "from cookbooks.test.resources.kinds import Note, Tell\n"
        files = {"recipes/default.py": imports + textwrap.dedent(text), **more}
        self.cookbook("shop", files)

    def run(self, recipe: str = "shop", run: str | None = None, **values: Any) -> list[dict[str, Any]]:
        """The events of one run of `recipe`; the last is run_finished."""
        self.count += 1
        request = RunRequest(
            run=run or f"run-{self.count:04d}",
            instance="web1",
            instance_id="i-1",
            stack="shop",
            event=values.pop("event", "execute_recipes"),
            recipes=values.pop("recipes", [recipe]),
            trees=self.trees,
            attributes={"etc": str(self.etc), **values.pop("attributes", {})},
            **values,
        )
        directory = journal.create(request.run, apply=request.apply)
        assert directory is not None, "the run has been made before"
        converge(request, directory)
        self.journal_text = Path(directory, "journal.ndjson").read_text()
        return [json.loads(line) for line in self.journal_text.splitlines()]


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    state = tmp_path / "state"
    for name in dir(paths):
        value = getattr(paths, name)
        if name.isupper() and isinstance(value, str):
            monkeypatch.setattr(
                paths, name, value.replace(paths.STATE_DIRECTORY, str(state)) if name != "STATE_DIRECTORY" else value
            )
    monkeypatch.setattr(paths, "STATE_DIRECTORY", str(state))
    monkeypatch.setattr(origin, "_trees", {})
    return Kitchen(tmp_path)
