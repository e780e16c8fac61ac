"""The contract of providers, kept by the command `vagrant`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.control.providers.vagrant.command import UP_SECONDS, host_key, ssh_settings, states, vagrant
from cookline.control.providers.vagrant.machines import Machine, Machines
from cookline.errors import UsageError, did_you_mean

# Vagrant's words for a machine's state, as its providers use them; what is not here is a machine that is down.
STATES = {"running": "running", "not_created": "absent"}

Place = tuple[Path, str]


class VagrantProvider:
    """Drives the `vagrant` command. Settings of an instance, where a Vagrantfile has it as a machine: directory (of that file),
    machine (its name there; the instance's without). Else a Vagrantfile is written: platform (debian-12 without), box, memory
    (MB), cpus. For both: provider (lxc, libvirt, virtualbox; Vagrant's choice without).

    Every call raises CooklineError with what Vagrant said.
    """

    name = "vagrant"
    can_start = True

    def __init__(self, directory: Path, project: Path | None = None) -> None:
        self.machines = Machines(directory / "providers" / "vagrant", project or directory.parent)

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        machines = [self.machines.asked(request) for request in requests]
        found: dict[str, Host] = {}
        for place, there in _by_place(machines).items():
            found |= self._hosts(place, there)
        return [found[machine.instance] for machine in machines]

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        machines = [self.machines.asked(request) for request in requests]
        self.machines.keep(machines)
        self._each(machines, progress, "up", "--no-provision")
        hosts = self.status(requests)
        for host in hosts:
            progress(f"{host.name} is up at {host.address}")
        return hosts

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        self._each(self._known(names), progress, "halt")

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        self._each(self._known(names), progress, "reload", "--no-provision")

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        machines = [machine for name in names if (machine := self.machines.known(name))]
        self._each(machines, progress, "destroy", "--force")
        if machines:
            self.machines.forget(machines)

    def _known(self, names: Iterable[str]) -> list[Machine]:
        machines = {name: self.machines.known(name) for name in names}
        for name, machine in machines.items():
            if machine is None:
                raise UsageError(f"no machine was brought up for {name}", hint=f"cookline start brings {name} up")
        return [machine for machine in machines.values() if machine]

    def _each(self, machines: Sequence[Machine], progress: Progress, verb: str, *options: str) -> None:
        for (directory, provider), there in _by_place(machines).items():
            names = [machine.name for machine in there]
            progress(f"vagrant {verb} {' '.join(names)}")
            vagrant(directory, verb, *options, *names, provider=provider, seconds=UP_SECONDS)

    def _hosts(self, place: Place, machines: Sequence[Machine]) -> dict[str, Host]:
        """Instance to host, of the machines of one Vagrantfile."""
        directory, provider = place
        known = [machine for machine in machines if directory != self.machines.directory.resolve() or self._brought_up(machine)]
        if not known:
            return {machine.instance: Host(machine.instance, "absent") for machine in machines}
        said = states(vagrant(directory, "status", "--machine-readable", provider=provider))
        for machine in known:
            if machine.name not in said:
                near = did_you_mean(machine.name, said)
                raise UsageError(f"{directory}/Vagrantfile has no machine {machine.name!r}{near}")
        running = [machine.name for machine in known if said[machine.name] == "running"]
        config = vagrant(directory, "ssh-config", *running, provider=provider) if running else ""
        return {machine.instance: _host(machine, said.get(machine.name, "not_created"), config) for machine in machines}

    def _brought_up(self, machine: Machine) -> bool:
        return self.machines.known(machine.instance) is not None


def _host(machine: Machine, state: str, config: str) -> Host:
    if state != "running":
        return Host(machine.instance, STATES.get(state, "stopped"))
    settings = ssh_settings(config)[machine.name]
    return Host(
        name=machine.instance,
        state="running",
        address=settings["hostname"],
        port=int(settings.get("port", "22")),
        user=settings.get("user", "vagrant"),
        identity_file=settings.get("identityfile"),
        known_host=host_key(config, machine.name),
    )


def _by_place(machines: Iterable[Machine]) -> dict[Place, list[Machine]]:
    """Those of one Vagrantfile, with one provider, together: one call of Vagrant's serves them all."""
    found: dict[Place, list[Machine]] = {}
    for machine in machines:
        found.setdefault((machine.directory, machine.provider), []).append(machine)
    return found
