"""Runs programs: a fixed environment, no terminal, both streams read; killed with their children when their time is over."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from cookline.errors import CommandError, ResourceError

if TYPE_CHECKING:
    import subprocess

# Every run has these and nothing that SSH or sudo passed on (pitfalls: SendEnv, secure_path, locale prompts).
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_SUSPEND": "1",
}


class Completed(NamedTuple):
    """A program that ended: `status` is negative for a signal; both streams decoded as UTF-8 with replacement."""

    command: str
    status: int
    stdout: str
    stderr: str


def execute(
    command: Union[str, Sequence[str]],
    *,
    ok: Optional[Sequence[int]],
    input: Optional[str] = None,
    timeout: Optional[float] = 3600.0,
    cwd: str = "/",
    env: Optional[Mapping[str, str]] = None,
    user: Optional[str] = None,
    group: Optional[str] = None,
    umask: int = 0o022,
) -> Completed:
    """Run a program to its end; see `run` in host/system.py. Raises CommandError."""
    import shlex
    import subprocess

    text = command if isinstance(command, str) else " ".join(shlex.quote(word) for word in command)
    options: Dict[str, Any] = {
        "umask": umask,
        "cwd": cwd,
        "env": {**ENVIRONMENT, **_home(user), **(env or {})},
    }
    if user is not None:
        options.update(user=user, group=group or _primary_group(user), extra_groups=_groups(user))
    try:
        with subprocess.Popen(
            command,
            shell=isinstance(command, str),
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            **options,
        ) as process:
            stdout, stderr = _communicate(process, text, input, timeout)
    except OSError as error:
        raise CommandError(text, 127, stderr=str(error)) from None
    if ok is not None and process.returncode not in ok:
        raise CommandError(text, process.returncode, stdout, stderr)
    return Completed(text, process.returncode, stdout, stderr)


def _communicate(process: subprocess.Popen[str], text: str, input: Optional[str], timeout: Optional[float]) -> Tuple[str, str]:
    import subprocess

    try:
        return process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise CommandError(text, -signal.SIGKILL, stdout, stderr, hint=f"it ran longer than {timeout:g} s") from None


def _home(user: Optional[str]) -> Dict[str, str]:
    if user is None:
        return {}
    import pwd

    try:
        return {"HOME": pwd.getpwnam(user).pw_dir, "USER": user, "LOGNAME": user}
    except KeyError:
        raise ResourceError(f"there is no user {user!r} on this host") from None


def _primary_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _groups(user: str) -> List[int]:
    import pwd

    return os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
