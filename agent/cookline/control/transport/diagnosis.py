"""Why a host did not do what it was asked, sorted by what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cookline.control.transport.base import Target
from cookline.control.transport.printable import printable
from cookline.errors import BecomeError, CooklineError, HostStateError, Locked, PythonMissing, Unreachable

SUDO_HINT = (
    "let {user} become root without a password: '{user} ALL=(ALL) NOPASSWD: ALL' in /etc/sudoers.d/cookline"
    " (a rule for python3 alone is the same thing: it runs what it is given)"
)
PYTHON_HINT = "name another interpreter with `python:`, or let cookline install it with `bootstrap: apt`"


class UnknownRun(HostStateError):
    """The host has no run of this id."""


def refusal(target: Target, message: Mapping[str, Any]) -> CooklineError:
    """The error for a {"kind": "refused", "reason": .., "found" | "error": ..} of a host."""
    reason, name = str(message.get("reason")), target.instance
    said = printable(str(message.get("error") or message.get("found") or reason))[:2000]
    if reason == "python":
        return PythonMissing(f"{name} has Python {said} as {target.python}; 3.9 or newer is needed", hint=PYTHON_HINT)
    if reason == "machine":
        return HostStateError(f"{name} is a {said} machine; cookline has code for x86_64 and aarch64")
    if reason == "space":
        return HostStateError(f"no room on {name}: {said}", hint=f"make room below /var/lib/cookline on {name}")
    if reason == "readonly":
        return HostStateError(
            f"the disk of {name} is read-only: {said}", hint="mount it writable; look at the host's kernel log"
        )
    if reason == "permission":
        return HostStateError(
            f"{target.user} may not write on {name}: {said}", hint="remove `become: false`, or log in as root"
        )
    if reason == "unknown_run":
        return UnknownRun(f"{name} has no such run: {said}", hint=f"cookline runs {name}")
    if reason == "locked":
        return Locked(f"{name} is locked: {said}", hint=f"cookline status {name}")
    hint = message.get("hint")
    return HostStateError(f"{name} refuses: {said}", hint=printable(hint)[:500] if isinstance(hint, str) else None)


def ended(target: Target, status: int, stderr: str) -> Unreachable:
    """The error for a command that ended before it had said what was expected; `stderr` tells why."""
    text = printable(stderr.strip())[-4000:]
    name, low = target.instance, text.lower()
    if _sudo_refuses(target, status, low) is not None:
        hint = SUDO_HINT.format(user=target.user)
        return BecomeError(f"{name}: {target.user} cannot become root: {_sudo_refuses(target, status, low)}", hint=hint)
    absent = status == 127 or "command not found" in low or "no such file or directory" in low.split("\n")[-1]
    if absent and target.python in text:
        return PythonMissing(f"{name} has no {target.python}", hint=PYTHON_HINT)
    said = f":\n{text}" if text else " and said nothing"
    how = "without a status" if status == -1 else f"with status {status}"
    return Unreachable(f"the command on {name} ended {how}{said}", hint=f"try it by hand: ssh {target.user}@{target.address}")


def _sudo_refuses(target: Target, status: int, low: str) -> str | None:
    """What sudo has against it, or None. LC_ALL=C.UTF-8 stands before sudo, so that its messages are these."""
    if "a password is required" in low or "a terminal is required to read the password" in low:
        return "sudo asks for a password"
    if "you must have a tty to run sudo" in low:
        return "sudo insists on a terminal (requiretty)"
    if "is not in the sudoers file" in low or "may not run sudo" in low or "is not allowed to execute" in low:
        return "the sudo rules do not allow it"
    if "no new privileges" in low or "effective uid is not 0" in low:
        return "sudo cannot gain root on this system"
    if status == 127 and "sudo" in low and "not found" in low.replace("no such file or directory", "not found"):
        return "sudo is not installed"
    return None
