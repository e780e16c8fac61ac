"""testinfra on hosts: pytest in a process of its own, with our plugin and an ssh configuration of the hosts."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookline.errors import CooklineError

PLUGIN = "cookline.kitchen.plugin"
# pytest's status for "nothing collected"
NOTHING_COLLECTED = 5


@dataclass
class Verified:
    """What the tests said. `cases` are (name, seconds, failure or None)."""

    passed: bool
    output: str
    seconds: float
    cases: list[tuple[str, float, str | None]] = field(default_factory=list)


def require_tools() -> None:
    """Raises CooklineError where pytest or testinfra are not installed."""
    missing = [name for name, module in (("pytest", "pytest"), ("pytest-testinfra", "testinfra")) if not _there(module)]
    if missing:
        raise CooklineError(f"verify needs {' and '.join(missing)}", hint="pip install 'cookline[kitchen]'")


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def described(
    hosts: Mapping[str, Mapping[str, Any]], *, ssh_config: Path, stack: str, snapshot: Mapping[str, Any]
) -> dict[str, Any]:
    """What the plugin is told: the stack's name, the snapshot, {host: instance}, and the way to them."""
    return {
        "ssh_config": str(ssh_config),
        "stack": stack,
        "snapshot": dict(snapshot),
        "hosts": {n: dict(h) for n, h in hosts.items()},
    }


def verify(
    tests: Sequence[Path],
    what: Mapping[str, Any],
    directory: Path,
    name: str,
    *,
    started: Callable[[subprocess.Popen[str]], None] = lambda process: None,
) -> Verified:
    """Run the tests on the hosts of `what` (see `described`); `directory` takes the files that go with it.

    `started` is given the process, so that somebody else may end it.
    """
    require_tools()
    told, report, settings = (directory / f"{name}.{kind}" for kind in ("verify.json", "junit.xml", "pytest.ini"))
    told.write_text(json.dumps(what))
    # an empty file of settings: those of the project that the tests lie in are for its own tests
    settings.write_text("[pytest]\n")
    report.unlink(missing_ok=True)
    line = [sys.executable, "-m", "pytest", "-q", "-c", str(settings), f"--rootdir={tests[0]}", "--color=no"]
    line += ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", PLUGIN, "--tb=short", "-rfE"]
    line += [f"--cookline-hosts={told}", f"--junit-xml={report}", *map(str, tests)]
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    begun = time.monotonic()
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as process:
        started(process)
        output = process.communicate()[0]
    passed = process.returncode in (0, NOTHING_COLLECTED)
    return Verified(passed, output, time.monotonic() - begun, read_report(report))


class Running:
    """Tests that run now, of many hosts; `end` ends them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []

    def verify(self, tests: Sequence[Path], what: Mapping[str, Any], directory: Path, name: str) -> Verified:
        return verify(tests, what, directory, name, started=self._note)

    def _note(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._processes = [*(each for each in self._processes if each.poll() is None), process]

    def end(self) -> None:
        with self._lock:
            for process in self._processes:
                if process.poll() is None:
                    process.terminate()


def read_report(path: Path) -> list[tuple[str, float, str | None]]:
    """(name, seconds, failure) of each test in a JUnit file; none when there is no file."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return []
    cases = []
    for case in root.iter("testcase"):
        failed = [each for each in case if each.tag in ("failure", "error")]
        text = (failed[0].text or failed[0].get("message") or "failed") if failed else None
        # the host stands in the name of the suite already
        name = re.sub(r"\[ssh://[^\]]*\]$", "", case.get("name", ""))
        cases.append((name, float(case.get("time") or 0.0), text))
    return cases
