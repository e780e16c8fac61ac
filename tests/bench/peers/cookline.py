"""cookline, as a whole command without a server, and through one that runs already.

The first converge is `cookline setup`: it installs the resident agent, too, and ends with a configure of all hosts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

from tests.bench.peers.tool import Ground, Tool
from tests.bench.work import write_cookbook

COMMAND = (sys.executable, "-m", "cookline.cli")


class Cookline(Tool):
    name = "cookline"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return version("cookline")

    def write(self, ground: Ground) -> None:
        write_cookbook(ground.folder / "cookbooks")
        common = {"layers": ["web"], "provider": "static", "user": "root", "identity_file": ground.key}
        instances = {host.name: {**common, "address": host.address} for host in ground.hosts}
        layers = {"web": {"recipes": {"setup": ["bench"]}}}
        ground.write("bench.yml", json.dumps({"stack": "bench", "layers": layers, "instances": instances}))
        ground.write(".cookline/known_hosts", ground.known_hosts.read_text())
        (ground.folder / ".cookline").chmod(0o700)
        self._run(ground, "push", "bench.yml")

    def line(self, ground: Ground) -> str:
        return f"PYTHONPATH={_path()} {' '.join(COMMAND)} setup bench"

    def again(self, ground: Ground) -> str:
        return f"PYTHONPATH={_path()} {' '.join(COMMAND)} run bench bench"

    def _run(self, ground: Ground, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": _path()}
        done = subprocess.run([*COMMAND, *words], cwd=ground.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"


class CooklineWithServer(Cookline):
    name = "cookline, server running"

    def write(self, ground: Ground) -> None:
        super().write(ground)
        self._run(ground, "server", "--detach", "--port", "0")
        self._ground = ground

    def end(self) -> None:
        self._run(self._ground, "server", "--stop")


def _path() -> str:
    return os.pathsep.join(path for path in sys.path if path)
