"""Every error that cookline raises on purpose, and the exit code that each one ends a command with.

    CooklineError             1   something failed
    |- UsageError             2   mended by whoever typed or wrote it
    |  |- StackError              a stack definition, with file, line and column
    |  |- CookbookError           a cookbook, a recipe or a template
    |  |- ResourceUsageError      a resource called with wrong fields
    |  `- SelectorError           a selector that matches nothing
    |- RunError               1   mended on the host or in the recipe
    |  |- CommandError            a command ended with a status that was not expected
    |  |- ResourceError           a resource could not be brought to its desired state
    |  `- HostStateError          the host refuses the run (older snapshot, full disk)
    |- DiskFull               1   the controller's own disk
    |- SourceError            1   an app's source could not be fetched
    |- Differs                3   the host differs from what was declared
    |- Unreachable            4   mended on the network, in sshd or in known_hosts
    |  |- HostKeyError            unknown or changed host key
    |  |- AuthenticationError     no key was accepted
    |  |- BecomeError             sudo refuses
    |  `- PythonMissing           no python3, or one older than 3.9
    |- Locked                 5   somebody else holds the lock
    |- HostileOutput          1   the host broke the protocol
    `- Interrupted          130   Ctrl-C

Exit codes have one meaning each: 0 ok, 1 failed, 2 usage, 3 the host differs, 4 unreachable, 5 locked, 130 interrupted.
"""

from __future__ import annotations

from typing import Iterable, Optional

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERS = 3
EXIT_UNREACHABLE = 4
EXIT_LOCKED = 5
EXIT_INTERRUPTED = 130

# A command that touched many hosts ends with the first of these that any host asks for.
EXIT_PRECEDENCE = (EXIT_USAGE, EXIT_LOCKED, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_DIFFERS)


def overall_exit_code(codes: Iterable[int]) -> int:
    """The one exit code of a command whose hosts ended with `codes`."""
    seen = set(codes)
    return next((code for code in EXIT_PRECEDENCE if code in seen), EXIT_OK)


def nearest(word: str, candidates: Iterable[str]) -> Optional[str]:
    """The candidate that `word` was most probably meant to be, or None."""
    import difflib

    matches = difflib.get_close_matches(str(word), [str(candidate) for candidate in candidates], n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """ "; did you mean 'nginx'?" or the empty string."""
    match = nearest(word, candidates)
    return f"; did you mean {match!r}?" if match else ""


class CooklineError(Exception):
    """An error with a sentence for the person at the terminal, and the next step.

    `message` says what is wrong; `hint` names the next command or edit, without a full stop.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(CooklineError):
    exit_code = EXIT_USAGE


class StackError(UsageError):
    """One or more errors of a stack definition; `problems` holds each as "file:line:col: sentence"."""

    def __init__(self, problems: Iterable[str], *, hint: Optional[str] = None) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class CookbookError(UsageError):
    pass


class ResourceUsageError(UsageError):
    pass


class SelectorError(UsageError):
    pass


class RunError(CooklineError):
    pass


class CommandError(RunError):
    """A command on the host that ended with a status that was not expected."""

    def __init__(self, command: str, status: int, stdout: str = "", stderr: str = "", *, hint: Optional[str] = None) -> None:
        self.command, self.status, self.stdout, self.stderr = command, status, stdout, stderr
        parts = [f"`{command}` ended with status {status}"]
        parts += [f"stdout: {stdout.strip()[-4000:]}"] if stdout.strip() else []
        parts += [f"stderr: {stderr.strip()[-4000:]}"] if stderr.strip() else []
        super().__init__("\n".join(parts), hint=hint)


class ResourceError(RunError):
    pass


class DiskFull(CooklineError):
    pass


class HostStateError(RunError):
    pass


class SourceError(CooklineError):
    pass


class Differs(CooklineError):
    exit_code = EXIT_DIFFERS


class Unreachable(CooklineError):
    exit_code = EXIT_UNREACHABLE


class HostKeyError(Unreachable):
    pass


class AuthenticationError(Unreachable):
    pass


class BecomeError(Unreachable):
    pass


class PythonMissing(Unreachable):
    pass


class Locked(CooklineError):
    exit_code = EXIT_LOCKED


class HostileOutput(CooklineError):
    pass


class Interrupted(CooklineError):
    exit_code = EXIT_INTERRUPTED
