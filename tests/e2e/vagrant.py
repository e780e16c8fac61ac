"""The command `vagrant` as a user types it, with boxes and settings of its own, and what it leaves on the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_VAGRANT = "vagrant is not installed (apt-get install --no-install-recommends vagrant vagrant-lxc lxc)"


def require_vagrant() -> None:
    if shutil.which("vagrant") is None:
        pytest.skip(NO_VAGRANT)


def require_lxc() -> None:
    """Machines can be booted here, and their box be built."""
    require_vagrant()
    missing = [program for program in ("lxc-start", "mmdebstrap", "dpkg-scanpackages") if shutil.which(program) is None]
    if missing or not list(Path("/usr/share/rubygems-integration/all/gems").glob("vagrant-lxc-*")):
        pytest.skip("Vagrant has no lxc here (apt-get install --no-install-recommends vagrant-lxc lxc mmdebstrap dpkg-dev)")
    if os.geteuid() != 0:
        pytest.skip("machines of lxc need root")


@dataclass
class Vagrant:
    """`vagrant` in `folder`. `home` is its VAGRANT_HOME; the commands that it runs find this checkout's `cookline`."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"VAGRANT_HOME": str(self.home), "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_NO_COLOR": "1"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **own, "PATH": path, **self.variables}

    def run(self, *words: str, program: str = "vagrant", **variables: str) -> subprocess.CompletedProcess[str]:
        """Both streams are in `stdout`."""
        return subprocess.run(
            [program, *words],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def good(self, *words: str, program: str = "vagrant", **variables: str) -> str:
        done = self.run(*words, program=program, **variables)
        assert done.returncode == 0, f"{program} {' '.join(words)} ended with {done.returncode}\n{done.stdout}"
        return done.stdout

    def containers(self) -> list[str]:
        """What lxc calls the machines."""
        return [path.read_text() for path in self.folder.glob(".vagrant/machines/*/lxc/id")]

    def bridge(self) -> str:
        """The bridge that all of the machines are on."""
        [link] = {self.link(name) for name in self.containers()}
        return link

    @staticmethod
    def link(container: str) -> str:
        settings = Path("/var/lib/lxc", container, "config").read_text().replace(" ", "").splitlines()
        return next(line.partition("=")[2] for line in reversed(settings) if line.startswith("lxc.net.0.link="))


def left_behind(containers: Sequence[str], bridge: str) -> list[str]:
    """What is still there of machines that were destroyed."""
    places = [Path("/var/lib/lxc", name) for name in containers] + [Path("/sys/class/net", bridge)]
    found = [str(path) for path in places if path.exists()]
    for name in containers:
        found += map(str, Path("/sys/fs/cgroup").glob(f"**/lxc.*.{name}"))
    links = json.loads(subprocess.run(["ip", "-json", "link", "show"], capture_output=True, text=True, check=True).stdout)
    found += [link["ifname"] for link in links if link.get("master") == bridge]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        found += [line for name in containers if name in line]
    return found
