"""What became of each host in one kitchen command."""

from __future__ import annotations

from dataclasses import dataclass, field

from cookline.errors import EXIT_FAILED, EXIT_OK, CooklineError


@dataclass
class Checked:
    """One line of a JUnit report: a phase, a run of a converge, or a test."""

    name: str
    seconds: float
    failure: str | None = None


@dataclass
class Result:
    """What became of one host in one command. `skipped` says why nothing was begun on it."""

    name: str
    state: str
    checks: list[Checked] = field(default_factory=list)
    error: str | None = None
    exit_code: int = EXIT_OK
    seconds: float = 0.0
    skipped: str | None = None

    def fail(self, error: str, exit_code: int = EXIT_FAILED) -> None:
        self.error, self.exit_code = error, exit_code


class PhaseFailed(CooklineError):
    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
