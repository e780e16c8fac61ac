"""A walk through real commands: each is shown as a user would type it, run in a process of its own, and timed.

What is not as promised ends the walk with a sentence and a next command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cookline.errors import EXIT_OK, CooklineError

if TYPE_CHECKING:
    from cookline.cli.session import Session


class PromiseBroken(CooklineError):
    """Something is not as a step said that it would be."""


class Tour:
    """Steps and commands on one terminal; `seconds` maps each step's title to the time that it took."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        number = len(self.seconds) + 1
        started = time.monotonic()
        self.session.say("")
        self.session.console.print(f"{number}. {title}", style="bold")
        try:
            yield
        except CooklineError as error:
            raise PromiseBroken(f"step {number} ({title}): {error.message}", hint=error.hint) from error
        self.seconds[title] = time.monotonic() - started
        self.session.console.print(f"   step {number} took {self.seconds[title]:.1f} s", style="dim")

    def command(self, *words: str, good: Sequence[int] = (EXIT_OK,)) -> float:
        """Run `cookline WORDS` on this terminal; the seconds that it took. Any other exit status ends the walk."""
        self.session.say(f"$ cookline {shlex.join(words)}")
        started = time.monotonic()
        status = subprocess.run(self._line(words), cwd=self.session.cwd, env=self._environment()).returncode
        if status not in good:
            raise PromiseBroken(f"`cookline {shlex.join(words)}` ended with exit status {status}; what it said is above")
        return time.monotonic() - started

    def ask(self, *words: str) -> Any:
        """What `cookline WORDS --json` answers, without a word on the terminal."""
        line = self._line([*words, "--json"])
        done = subprocess.run(line, cwd=self.session.cwd, env=self._environment(), capture_output=True, text=True)
        if done.returncode != EXIT_OK:
            raise PromiseBroken(
                f"`cookline {shlex.join(words)} --json` ended with exit status {done.returncode}: {done.stderr}"
            )
        return json.loads(done.stdout)

    def say(self, text: str) -> None:
        self.session.say(f"   {text}")

    @staticmethod
    def _line(words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "cookline.cli", *words]

    def _environment(self) -> dict[str, str]:
        """The same project, wherever the command is started."""
        return {**os.environ, "COOKLINE_DIRECTORY": str(self.session.directory)}
