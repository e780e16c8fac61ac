"""Hosts that Vagrant brings up: each instance is the machine of its name in a Vagrantfile."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.errors import CooklineError, UsageError, did_you_mean

# A box that is downloaded and imported for the first time takes its time.
UP_SECONDS = 1800.0
ASK_SECONDS = 120.0
# Vagrant's words for a machine's state, as its providers use them; what is not here is a machine that is down.
STATES = {"running": "running", "not_created": "absent"}
SETTINGS = ("directory", "machine")


@dataclass(frozen=True)
class Machine:
    """One machine: the folder of its Vagrantfile, and its name there."""

    instance: str
    directory: Path
    name: str


class VagrantProvider:
    """Drives the `vagrant` command. Settings of an instance: directory (of the Vagrantfile; `vagrant` without), machine (its
    name there; the instance's without). Every call raises CooklineError with what Vagrant said."""

    name = "vagrant"
    can_start = True

    def __init__(self, directory: Path) -> None:
        self.project = directory.parent
        self._machines: dict[str, Machine] = {}

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        machines = [self._machine(request) for request in requests]
        states: dict[Machine, str] = {}
        for directory, there in _by_directory(machines).items():
            found = _states(self._ask(directory, "status", "--machine-readable"))
            for machine in there:
                if machine.name not in found:
                    near = did_you_mean(machine.name, found)
                    raise UsageError(f"{directory}/Vagrantfile has no machine {machine.name!r}{near}")
                states[machine] = STATES.get(found[machine.name], "stopped")
        return [self._host(machine, states[machine]) for machine in machines]

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        self._each([self._machine(request) for request in requests], progress, "up", "--no-provision")
        return self.status(requests)

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        self._each(self._known(names), progress, "halt")

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        self._each(self._known(names), progress, "reload", "--no-provision")

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        self._each(self._known(names), progress, "destroy", "--force")

    def _each(self, machines: Sequence[Machine], progress: Progress, verb: str, *options: str) -> None:
        for directory, there in _by_directory(machines).items():
            names = [machine.name for machine in there]
            progress(f"vagrant {verb} {' '.join(names)}")
            self._run(directory, UP_SECONDS, verb, *options, *names)

    def _machine(self, request: HostRequest) -> Machine:
        unknown = next((key for key in request.settings if key not in SETTINGS), None)
        if unknown is not None:
            near = did_you_mean(unknown, SETTINGS)
            raise UsageError(f"{request.name}: the vagrant provider has no setting {unknown!r}{near}")
        directory = (self.project / str(request.settings.get("directory", "vagrant"))).resolve()
        if not (directory / "Vagrantfile").is_file():
            raise UsageError(f"{request.name}: there is no {directory}/Vagrantfile", hint="settings: {directory: PATH}")
        machine = Machine(request.name, directory, str(request.settings.get("machine", request.name)))
        self._machines[request.name] = machine
        return machine

    def _known(self, names: Sequence[str]) -> list[Machine]:
        return [self._machines.get(name) or self._machine(HostRequest(name)) for name in names]

    def _host(self, machine: Machine, state: str) -> Host:
        if state != "running":
            return Host(machine.instance, state)
        settings = _ssh_settings(self._ask(machine.directory, "ssh-config", machine.name))
        return Host(
            name=machine.instance,
            state=state,
            address=settings["hostname"],
            port=int(settings.get("port", "22")),
            user=settings.get("user", "vagrant"),
            identity_file=settings.get("identityfile"),
            known_host=self._host_key(machine),
        )

    def _host_key(self, machine: Machine) -> str | None:
        """The machine's own word over the way that Vagrant itself uses; that way leads to no other machine."""
        read = "cat /etc/ssh/ssh_host_ed25519_key.pub"
        words = self._ask(machine.directory, "ssh", machine.name, "-c", read).split()
        return " ".join(words[:2]) if len(words) >= 2 and words[0].startswith("ssh-") else None

    def _ask(self, directory: Path, *words: str) -> str:
        return self._run(directory, ASK_SECONDS, *words)

    @staticmethod
    def _run(directory: Path, seconds: float, *words: str) -> str:
        program = shutil.which("vagrant")
        if program is None:
            raise CooklineError("Vagrant is not installed here", hint="apt-get install vagrant, and one of its providers")
        environment = {**os.environ, "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_NO_COLOR": "1"}
        try:
            done = subprocess.run(
                [program, *words], cwd=directory, env=environment, capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise CooklineError(f"`vagrant {shlex.join(words)}` took longer than {seconds:g} s") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise CooklineError(f"`vagrant {shlex.join(words)}` ended with {done.returncode}:\n{said}", hint=f"cd {directory}")
        return done.stdout


def _by_directory(machines: Sequence[Machine]) -> Mapping[Path, list[Machine]]:
    found: dict[Path, list[Machine]] = {}
    for machine in machines:
        found.setdefault(machine.directory, []).append(machine)
    return found


def _states(output: str) -> dict[str, str]:
    """Machine to state, of `vagrant status --machine-readable`: lines of TIME,MACHINE,state,WORD."""
    rows = [line.split(",") for line in output.splitlines()]
    return {row[1]: row[3].replace("%!(VAGRANT_COMMA)", ",") for row in rows if len(row) >= 4 and row[2] == "state"}


def _ssh_settings(output: str) -> dict[str, str]:
    """The settings of `vagrant ssh-config`, names in small letters."""
    pairs = [line.strip().partition(" ") for line in output.splitlines() if line.strip()]
    return {name.lower(): value.strip().strip('"') for name, _, value in pairs}
