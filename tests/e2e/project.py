"""A cookline project in a folder, with real hosts as its static instances, driven as a user drives it: by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.hosts import LabHost

IMPORTS = "from cookline import CookbookFile, Directory, Execute, File, Package, Restart, Run, Service, Template\n"


@dataclass
class Said:
    """What a command said: exit status, both streams."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """`recipes` maps an event to the body of its recipe in the cookbook `test`, `files` are others of that cookbook; more
    instances' settings by `settings`."""

    folder: Path
    hosts: Sequence[LabHost]
    recipes: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def write(self) -> Project:
        recipes = self.folder / "cookbooks" / "test" / "recipes"
        recipes.mkdir(parents=True, exist_ok=True)
        (recipes.parent / "cookbook.yml").write_text("name: test\nversion: 1.0.0\n")
        for event, body in self.recipes.items():
            (recipes / f"{event}.py").write_text(IMPORTS + textwrap.dedent(body))
        for path, text in self.files.items():
            place = recipes.parent / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        definition: dict[str, Any] = {
            "stack": "test",
            "layers": {"web": {"recipes": {event: [f"test::{event}"] for event in self.recipes}}},
            "instances": {host.name: self._instance(host) for host in self.hosts},
            **self.extra,
        }
        (self.folder / "test.yml").write_text(json.dumps(definition))
        (self.folder / ".cookline").mkdir(mode=0o700, exist_ok=True)
        pins = "".join(f"{host.address} {host.known_host}\n" for host in self.hosts)
        (self.folder / ".cookline" / "known_hosts").write_text(pins)
        return self

    def _instance(self, host: LabHost) -> dict[str, Any]:
        return {
            "layers": ["web"],
            "provider": "static",
            "address": host.address,
            "user": "root",
            "identity_file": host.identity_file,
            "connect_timeout": 5,
            **self.settings,
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cookline.cli", *words]

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(path for path in sys.path if path)
        return {**os.environ, "PYTHONPATH": path, "HOME": str(self.folder), **self.variables}

    def cookline(self, *words: str, timeout: float = 120) -> Said:
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        assert "Traceback" not in done.stdout + done.stderr, f"{words}:\n{done.stdout}\n{done.stderr}"
        return Said(done.returncode, done.stdout, done.stderr)

    def good(self, *words: str) -> Said:
        said = self.cookline(*words)
        assert said.status == 0, f"cookline {' '.join(words)} ended with {said.status}\n{said.out}\n{said.err}"
        return said

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A command in the background, in a session of its own (signals of a test reach it alone)."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Lines of the command until one holds `word`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError(f"the command ended without {word!r}:\n{''.join(lines)}")
