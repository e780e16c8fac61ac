"""A run that goes on after a reboot: the next attempt of the same run, from the top of its recipes.

Before the reboot the attempt leaves `resume.json` in the run's directory (0600: request, number of the next attempt, reboots
that are done) and a unit that starts the next attempt at boot. Who starts the attempt takes the file away first, so that none
is made twice. A file that nobody takes within RESUME_SECONDS of the boot is dead, and so is its run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
from typing import Any, Dict, List, Optional

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.protocol import RunRequest

MARKER = "resume.json"
UNIT = "cookline-resume.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
WANTED_PATH = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"
UNIT_TEXT = """\
[Unit]
Description=cookline run {run}, attempt {attempt}
After=network.target network-online.target
ConditionPathExists={marker}

[Service]
Type=exec
ExecStart={python} -I -S -c {program} {run}

[Install]
WantedBy=multi-user.target
"""
PROGRAM = "import sys; sys.path.insert(0, {tree!r}); from cookline.host.run.resume import main; main(sys.argv[1])"
# From the call of systemctl to the end of this process; a service that does not stop has 90 s by systemd's default.
SHUTDOWN_SECONDS = 300.0
# From the boot to the start of the unit; file system checks come first.
RESUME_SECONDS = 600.0
# A recipe that reboots more often asks for a reboot each time.
MAX_ATTEMPTS = 10


class Attempt:
    """What an attempt knows of those before it.

    number      1 for the first; `rebooted` names of the Reboot resources that are done; `changed` resources changed before
    index       number of the next resource, as the run counts them
    """

    def __init__(self, number: int = 1, rebooted: Optional[List[str]] = None, changed: int = 0, index: int = 0) -> None:
        self.number, self.rebooted, self.changed, self.index = number, rebooted or [], changed, index


def prepare(request: RunRequest, directory: str, following: Attempt) -> None:
    """Leave on disk all that the next attempt needs. Raises HostStateError when there have been too many."""
    if following.number > MAX_ATTEMPTS:
        hint = "give Reboot a guard that does not hold after the reboot"
        raise HostStateError(f"the run has rebooted the host {MAX_ATTEMPTS - 1} times and asks for it again", hint=hint)
    marker = f"{directory}/{MARKER}"
    content = {"request": request.to_dict(), "attempt": following.__dict__, "boot": boot_id(), "at": time.time()}
    paths.write_private(marker, json.dumps(content).encode())
    tree = os.path.realpath(__file__).rsplit("/cookline/", 1)[0]
    program = shlex.quote(PROGRAM.format(tree=tree))
    text = UNIT_TEXT.format(run=request.run, attempt=following.number, marker=marker, python=sys.executable, program=program)
    paths.write_private(UNIT_PATH, text.encode())
    os.makedirs(os.path.dirname(WANTED_PATH), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.symlink(UNIT_PATH, WANTED_PATH)
    os.sync()


def take_back(directory: str) -> bool:
    """Remove what `prepare` left; True for the one who found it there."""
    for path in (WANTED_PATH, UNIT_PATH):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    try:
        os.unlink(f"{directory}/{MARKER}")
    except FileNotFoundError:
        return False
    return True


def reboot() -> None:
    """Reboot, and wait to be ended by it. Raises HostStateError when that does not come."""
    import subprocess

    answer = subprocess.run(["systemctl", "reboot"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if answer.returncode == 0:
        time.sleep(SHUTDOWN_SECONDS)
        raise HostStateError(
            f"the host was told to reboot, but did not within {SHUTDOWN_SECONDS:g} s", hint="systemctl list-jobs"
        )
    raise HostStateError(f"the host refuses to reboot: {answer.stderr.strip()}")


def awaited(directory: Optional[str]) -> bool:
    """Whether this run has ended an attempt and another is still to come."""
    marker = _read(directory) if directory else None
    if marker is None:
        return False
    if marker.get("boot") == boot_id():
        return abs(time.time() - float(marker.get("at", 0))) < SHUTDOWN_SECONDS
    with open("/proc/uptime") as file:
        return _in_container() or float(file.read().split()[0]) < RESUME_SECONDS


def _in_container() -> bool:
    """There /proc/uptime is that of the machine around it."""
    return os.path.exists("/run/systemd/container")


def _read(directory: str) -> Optional[Dict[str, Any]]:
    return paths.read_private(f"{directory}/{MARKER}") or None


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def main(run: str) -> None:
    """The next attempt, in the process that systemd has started for it."""
    from cookline.host.run.converge import converge
    from cookline.host.run.journal import run_directory

    directory = run_directory(os.path.basename(run))
    marker = _read(directory)
    if marker is not None:
        converge(RunRequest.from_dict(marker["request"]), directory, attempt=Attempt(**_fields(marker["attempt"])))


def _fields(stored: Dict[str, Any]) -> Dict[str, Any]:
    return {name: stored[name] for name in ("number", "rebooted", "changed", "index") if name in stored}
