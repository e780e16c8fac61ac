"""What the machine must have before containers can run, and the one command that mends each lack."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from cookline.errors import CommandError, UsageError

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

# root's PATH lacks the sbin directories after `su`, and in some cron and CI environments
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError(
            "the container provider needs root: it mounts overlays and makes network namespaces",
            hint="run the same command with sudo",
        )


def require_programs(*programs: str) -> None:
    """Raise UsageError naming every one of `programs` that is missing and the command that installs them all."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        raise UsageError(
            f"the container provider needs {', '.join(missing)}, which this machine does not have",
            hint=f"sudo apt-get install --yes {packages}",
        )


def run(*arguments: str, stdin: str = "", timeout: float = 60.0) -> str:
    """The standard output of a program of this machine; CommandError when it ends with another status than 0."""
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"}
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
    if done.returncode != 0:
        raise CommandError(" ".join(arguments), done.returncode, done.stdout, done.stderr)
    return done.stdout


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that a host reads: with `mode` whatever the umask of this process is."""
    path.write_text(text)
    path.chmod(mode)
