"""The commands `vagrant` and, on the way that it names, `ssh`: run, and what they print understood."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from cookline.errors import CooklineError

# A box that is downloaded and imported for the first time takes its time.
UP_SECONDS = 1800.0
ASK_SECONDS = 120.0


def vagrant(directory: Path, *words: str, provider: str = "", seconds: float = ASK_SECONDS) -> str:
    """What `vagrant WORDS` prints, run beside the Vagrantfile in `directory`; `provider` "" is Vagrant's own choice.

    Raises CooklineError with what it said where it fails or takes longer than `seconds`.
    """
    program = shutil.which("vagrant")
    if program is None:
        raise CooklineError("Vagrant is not installed here", hint="apt-get install vagrant, and one of its providers")
    environment = {**os.environ, "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_NO_COLOR": "1"}
    environment.pop("VAGRANT_CWD", None)
    if provider:
        environment["VAGRANT_DEFAULT_PROVIDER"] = provider
    try:
        done = subprocess.run(
            [program, *words], cwd=directory, env=environment, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise CooklineError(f"`vagrant {shlex.join(words)}` took longer than {seconds:g} s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise CooklineError(f"`vagrant {shlex.join(words)}` ended with {done.returncode}:\n{said}", hint=f"cd {directory}")
    return done.stdout


def states(output: str) -> dict[str, str]:
    """Machine to state, of `vagrant status --machine-readable`: lines of TIME,MACHINE,state,WORD."""
    rows = [line.split(",") for line in output.splitlines()]
    return {row[1]: row[3].replace("%!(VAGRANT_COMMA)", ",") for row in rows if len(row) >= 4 and row[2] == "state"}


def ssh_settings(output: str) -> dict[str, dict[str, str]]:
    """Machine to settings of `vagrant ssh-config`, their names in small letters."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in output.splitlines():
        name, _, value = line.strip().partition(" ")
        value = value.strip().strip('"')
        if name == "Host":
            current = found.setdefault(value, {})
        elif name:
            current[name.lower()] = value
    return found


def host_key(config: str, machine: str) -> str | None:
    """The machine's own word for its public key, over Vagrant's own way to it (`config` is what ssh-config printed)."""
    with tempfile.NamedTemporaryFile("w", prefix="cookline-") as file:
        file.write(config)
        file.flush()
        line = ["ssh", "-F", file.name, "-o", "BatchMode=yes", machine, "cat /etc/ssh/ssh_host_ed25519_key.pub"]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS)
    words = done.stdout.decode(errors="replace").split()
    return " ".join(words[:2]) if len(words) >= 2 and words[0].startswith("ssh-") else None
