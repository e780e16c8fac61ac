"""Command lines on real hosts, as a user types them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal
from cookline.control.lifecycle.dispatch import Dispatcher
from tests.lab.hosts import LabHost


class Project:
    """A folder with a stack `shop` of one layer `app` and the app `shop`; every command runs in it, without a server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # as in a server: commands share a dispatcher, whose connections stay open
        self.dispatcher: Dispatcher | None = None

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and everything that was said."""
        said: list[str] = []
        shared = self.dispatcher
        terminal = Terminal(said.append, said.append, 160, False)
        mine = Session(terminal, cwd=self.directory, store=shared.store if shared else None, dispatcher=shared)
        mine.directory = self.directory / ".cookline"
        code = run_command(list(arguments), mine)
        return code, "".join(said)

    def ok(self, *arguments: str) -> str:
        code, said = self.run(*arguments)
        assert code == 0, f"cookline {' '.join(arguments)} ended with {code}\n{said}"
        return said

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def pin(self, host: LabHost) -> None:
        """Trust the host's key, as `cookline trust` does."""
        known = self.write(".cookline/known_hosts", f"{host.address} {host.known_host}\n", 0o600)
        os.chmod(known.parent, 0o700)

    def instance(self, name: str, host: LabHost, layer: str = "app") -> str:
        """The instance's line in a definition."""
        reached = f"address: {host.address}, user: {host.user}, identity_file: {host.identity_file}"
        return f"  {name}: {{layers: [{layer}], {reached}}}\n"
