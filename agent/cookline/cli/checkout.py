"""What git says of a folder of definitions: who changed it last, and why."""

from __future__ import annotations

import subprocess
from pathlib import Path

# git answers from the disk; more than this means a lock or a broken file system.
SECONDS = 10.0


class Checkout:
    """The git checkout around `folder`, if there is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = self._git("rev-parse", "--absolute-git-dir")
        self.git_directory = Path(place) if place else None

    def standing(self) -> tuple[str, str] | None:
        """(author, message) for a push: those of the last commit; None outside of git and before the first commit."""
        said = self._git("log", "-1", "--format=%an <%ae>%n%h %s") if self.git_directory else None
        if not said or "\n" not in said:
            return None
        author, message = said.split("\n", 1)
        changed = self._git("status", "--porcelain", "--", ".")
        return (author, f"{message} (with changes that are not committed)") if changed else (author, message)

    def busy(self) -> bool:
        """Whether git is at work on the files."""
        return self.git_directory is not None and (self.git_directory / "index.lock").exists()

    def _git(self, *arguments: str) -> str | None:
        # no lock is taken: a look must not disturb the operator's own git
        command = ["git", "--no-optional-locks", "-C", str(self.folder), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None
