"""The tests that follow a save, in the background; the next save ends those that still run."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cookline.control.transport.base import Target
from cookline.errors import CooklineError
from cookline.kitchen.stack_hosts import described_targets, without_values
from cookline.kitchen.verify import verify


class Verifying:
    def __init__(self, directory: Path, show: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.directory, self.show = directory, show
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._newest = 0

    def begin(self, tests: Sequence[Path], targets: Sequence[Target], stack: str, snapshot: Mapping[str, Any]) -> None:
        """Run the tests on the targets; what comes of them is shown when they end."""
        self.stop()
        if not tests or not targets:
            return
        with self._lock:
            self._newest += 1
            number = self._newest
        what = described_targets(self.directory, list(targets), stack, without_values(snapshot))
        threading.Thread(target=self._run, args=(tests, what, number), name="verify", daemon=True).start()

    def _run(self, tests: Sequence[Path], what: Mapping[str, Any], number: int) -> None:
        try:
            done = verify(tests, what, self.directory / "kitchen", "watch", started=lambda process: self._note(process, number))
        except CooklineError as error:
            self.show("", {"kind": "broken", "error": str(error), "files": []})
            return
        with self._lock:
            outdated = number != self._newest
            self._process = None
        if not outdated:
            told = {"passed": done.passed, "tests": len(done.cases), "seconds": done.seconds, "output": done.output}
            self.show("", {"kind": "verified", **told})

    def _note(self, process: subprocess.Popen[str], number: int) -> None:
        with self._lock:
            if number == self._newest:
                self._process = process
                return
        process.terminate()

    def stop(self) -> None:
        """End what still runs; nothing of it is shown."""
        with self._lock:
            self._newest += 1
            process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
