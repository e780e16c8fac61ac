"""What the machine must have before containers can run, and the one command that mends each lack."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cookline.errors import CommandError, DiskFull, RunError, UsageError

# program -> the Debian package that brings it
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "setsid": "util-linux",
    "mount": "mount",
    "apt-get": "apt",
    "dpkg-scanpackages": "dpkg-dev",
}

# as programs say it, see LC_ALL in `run`
NO_ROOM = "No space left on device"

# root's PATH lacks the sbin directories after `su`, and in some cron and CI environments
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def is_root() -> bool:
    return os.geteuid() == 0


def require_root() -> None:
    """Raises UsageError with the same command under sudo, by its whole path: sudo looks for programs in places of its own."""
    if not is_root():
        raise UsageError(
            "the container provider needs root: it mounts overlays and makes network namespaces", hint=_under_sudo()
        )


def _under_sudo() -> str:
    program = shutil.which(sys.argv[0])
    if program is None:
        return "run the same command with sudo"
    words = [sys.executable, "-m", "cookline.cli"] if program.endswith(".py") else [os.path.abspath(program)]
    return shlex.join(["sudo", *words, *sys.argv[1:]])


def missing_programs(programs: Iterable[str] = PROGRAMS) -> list[str]:
    return [program for program in programs if shutil.which(program, path=PATH) is None]


def mending(missing: Iterable[str]) -> str:
    """The one command that brings all of these programs."""
    return f"sudo apt-get install --yes {' '.join(sorted({PROGRAMS[program] for program in missing}))}"


def require_programs(*programs: str) -> None:
    """Raise UsageError naming every one of `programs` that is missing and the command that installs them all."""
    if missing := missing_programs(programs):
        raise UsageError(
            f"the container provider needs {', '.join(missing)}, which this machine does not have", hint=mending(missing)
        )


@contextlib.contextmanager
def room(directory: Path, needed: str) -> Iterator[None]:
    """Around what fills `directory`. Raises DiskFull where its disk has no room; `needed` says how much it takes, and what."""
    try:
        yield
    except (OSError, RunError) as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) if isinstance(error, OSError) else _says_full(str(error))
        if not full:
            raise
        raise DiskFull(
            f"the disk of {directory} is full: {needed}",
            hint=f"make room there (`df -h {directory}`), or name another place: XDG_CACHE_HOME=/PATH",
        ) from None


def _says_full(text: str) -> bool:
    return NO_ROOM in text or "enough free space" in text  # apt looks before it begins


def run(*arguments: str, stdin: str = "", timeout: float = 60.0) -> str:
    """The standard output of a program of this machine; CommandError when it ends with another status than 0."""
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            arguments,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            umask=0o022,  # what is made for hosts must not become unreadable in there because of the umask out here
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"`{' '.join(arguments)[:200]}` did not end in {timeout:g} s") from None
    if done.returncode != 0:
        raise CommandError(" ".join(arguments), done.returncode, done.stdout, done.stderr)
    return done.stdout


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that a host reads: with `mode` whatever the umask of this process is."""
    path.write_text(text)
    path.chmod(mode)
