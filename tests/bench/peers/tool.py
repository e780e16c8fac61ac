"""What a tool of the comparison is: it writes its own definition of the work, and names the command line that does it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cookline.control.providers.container.image import cache_directory
from tests.bench.work import template, write_sources
from tests.lab.hosts import LabHost

INSTALLED = cache_directory() / "peers"
INSTALLER = "tests/bench/install_peers"


@dataclass(frozen=True)
class Ground:
    """The hosts of one comparison, a fresh folder for a tool's files, and what OpenSSH needs to reach the hosts by name."""

    folder: Path
    hosts: Sequence[LabHost]
    ssh_config: Path
    known_hosts: Path

    @property
    def key(self) -> str:
        return self.hosts[0].identity_file

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.hosts]

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def write_files(self, folder: str) -> None:
        write_sources(self.folder / folder)

    def write_template(self, path: str, before: str, after: str) -> None:
        self.write(path, template(before, after))

    def on_each(self, command: str) -> str:
        """A shell line that does `command` for all hosts at once, % standing for the name of each."""
        return f"printf '%s\\n' {' '.join(self.names)} | xargs -P {len(self.names)} -I% sh -c {shlex.quote(command)}"

    def pushed(self, folder: str, command: str) -> str:
        """For tools that run on the host: send the definitions, and run them there, over one connection to each host."""
        there = f"umask 077; mkdir -p /opt/bench && tar -C /opt/bench -xf - && {{ {command}; }}"
        return self.on_each(f"tar -cf - {folder} | ssh -F {self.ssh_config} % {shlex.quote(there)}")


class Tool:
    """`name` is its row of the table; `slow` tools are left out on many hosts unless they are asked for."""

    name = ""
    slow = False

    def missing(self) -> str:
        """Why it cannot take part; empty when it can."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def write(self, ground: Ground) -> None:
        raise NotImplementedError

    def line(self, ground: Ground) -> str:
        """The shell command, run in the folder."""
        raise NotImplementedError

    def again(self, ground: Ground) -> str:
        """The command for hosts that are as they shall be: for all but cookline the same."""
        return self.line(ground)

    def end(self) -> None:
        """Let go of what `write` has started."""


class PythonTool(Tool):
    """A tool in a virtual environment of its own."""

    environment = ""
    distribution = ""

    @property
    def place(self) -> Path:
        return INSTALLED / self.environment

    def program(self, name: str) -> str:
        return str(self.place / "bin" / name)

    def missing(self) -> str:
        return "" if (self.place / "complete").exists() else f"not installed; {INSTALLER} does it"

    def version(self) -> str:
        names = [path.name for path in self.place.glob(f"lib/python3*/site-packages/{self.distribution}-*.dist-info")]
        return names[0].removesuffix(".dist-info").split("-")[-1] if names else "?"


class HostTool(Tool):
    """A Debian package of the hosts' image."""

    package = ""

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        from tests.bench.peers.image import package_version

        return package_version(self.package)


def output_of(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def on_path(program: str) -> bool:
    return shutil.which(program) is not None
