"""The container provider: hosts that are made, booted, stopped and destroyed on this machine."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.control.providers.container import image, packages
from cookline.control.providers.container.faults import Faults
from cookline.control.providers.container.image import Image
from cookline.control.providers.container.light import LightMachine
from cookline.control.providers.container.machine import Machine
from cookline.control.providers.container.network import Network
from cookline.control.providers.container.orphans import orphans, remove
from cookline.control.providers.container.project import Project, Record
from cookline.control.providers.container.requirements import require_programs, require_root, room
from cookline.control.providers.container.runtime import prepare_runtime, release_runtime
from cookline.control.providers.container.settings import check_settings, image_of, kind_of, packages_of
from cookline.errors import UsageError, did_you_mean


class ContainerProvider:
    """`directory` is the project's `.cookline`. A host's settings are `image` (a name of image.RECIPES, default debian-12) and
    `packages`: names of Debian packages, or paths of .deb files, that its apt can install without a way out of the machine.
    The hosts of one `create` share one repository with the packages of them all. `kind: light` makes a host without systemd and
    without packages, of which a machine carries hundreds.

    `network` is the /24 that the hosts live in, None to have a free one chosen; COOKLINE_CONTAINER_NETWORK says the same.
    """

    name = "container"
    can_start = True

    def __init__(self, directory: Path, *, cache: Path | None = None, network: str | None = None) -> None:
        self.project = Project(Path(directory).absolute() / "providers" / "container")
        self.cache = cache or image.cache_directory()
        self.network = Network(self.project, network or os.environ.get("COOKLINE_CONTAINER_NETWORK"))

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        return [self._host(request.name) for request in requests]

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        if requests:
            require_root()
            coming = [request for request in requests if not self._up(request.name)]
            self._require(self._programs(coming))
            with room(self.project.directory, "hosts write there"):
                self._create(coming, progress)
        return self.status(requests)

    def _create(self, requests: Sequence[HostRequest], progress: Progress) -> None:
        for request in requests:
            check_settings(request)
        self.project.check_room(request.name for request in requests)
        images = {name: image.ensure(name, self.cache, progress) for name in dict.fromkeys(map(image_of, requests))}
        repositories = self._repositories(images, requests, progress)
        with self.project.locked():
            prepare_runtime(len(requests))
            identity = self.project.identity()
            self.network.up()
            records = [self._record(request, images[image_of(request)], repositories) for request in requests]
            machines = [self._machine(record) for record in records]
            for machine in machines:
                if not machine.running:
                    self.network.attach(machine.record)
            together(lambda machine: boot(machine, identity), machines)
        together(lambda machine: self._wait(machine, progress), machines)

    def _record(self, request: HostRequest, made: Image, repositories: Mapping[str, Mapping[str, Any]]) -> Record:
        record = self.project.find(request.name) or self.project.add(request.name, made.hash)
        record = replace(record, kind=kind_of(request), **repositories.get(request.name, {}))
        self.project.save(record)
        return record

    def _repositories(
        self, images: Mapping[str, Image], requests: Sequence[HostRequest], progress: Progress
    ) -> dict[str, dict[str, Any]]:
        """host name -> `packages` and `wanted` of its record, for hosts whose repository lacks something or is not there."""
        chosen: dict[str, dict[str, Any]] = {}
        for name, made in images.items():
            unmet = [request for request in requests if image_of(request) == name and not self._met(request)]
            records = [record for request in unmet if (record := self.project.find(request.name))]
            wishes = [*map(packages_of, unmet), *(record.wanted for record in records)]
            wanted = sorted({package for wish in wishes for package in wish})
            if unmet:
                repository = packages.ensure(made, wanted, self.cache, progress)
                chosen |= {request.name: {"packages": repository, "wanted": wanted} for request in unmet}
        return chosen

    def _met(self, request: HostRequest) -> bool:
        """Whether the host has a repository with all that is asked for, or none to have."""
        if kind_of(request) == "light":
            return True
        record = self.project.find(request.name)
        return bool(record and Path(record.packages, "complete").exists() and {*packages_of(request)} <= {*record.wanted})

    def _wait(self, machine: Machine, progress: Progress) -> None:
        address = self.network.address(machine.record)
        assert address is not None, "the network is up"
        machine.wait_ready(address)
        progress(f"{machine.record.name} is up at {address}")

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        """A clean shutdown of each that runs; the disks stay."""
        require_root()
        together(lambda machine: self._stop(machine, progress), self._machines(names, missing_ok=True))

    def _stop(self, machine: Machine, progress: Progress) -> None:
        machine.power_off()
        progress(f"{machine.record.name} is stopped")

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        self._require()
        together(lambda machine: machine.reboot(), self._machines(names))
        together(lambda machine: self._wait(machine, progress), self._machines(names))

    def reset(self, names: Sequence[str], progress: Progress) -> None:
        """Bring hosts back to the moment they were made, keys and addresses kept, and boot them."""
        self._require()
        machines = self._machines(names)
        together(discard, machines)
        identity = self.project.identity()
        for machine in machines:
            self.network.attach(machine.record)
        together(lambda machine: boot(machine, identity), machines)
        together(lambda machine: self._wait(machine, progress), machines)

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        require_root()
        if not names and not self.project.directory.exists() and not orphans(self.project):
            return
        with self.project.locked():
            machines = self._machines(names, missing_ok=True)
            together(Machine.remove, machines)
            for machine in machines:
                self.network.detach(machine.record)
                self.project.forget(machine.record.name)
                progress(f"{machine.record.name} is gone")
            if not self.project.names():
                for label in orphans(self.project):
                    remove(label, self.network)
                    progress(f"{label}, of which nothing was written down any more, is gone")
                self.network.down()
                release_runtime()

    def faults(self, name: str) -> Faults:
        """What can be done to the host called `name`."""
        return Faults(self._machines([name])[0], self.network)

    def _require(self, more: Sequence[str] = ()) -> None:
        require_root()
        require_programs("systemd-nspawn", "ip", "ssh-keygen", "setsid", "mount", *more)

    def _programs(self, coming: Sequence[HostRequest]) -> list[str]:
        """What making these hosts takes beyond booting them: all that is missing is named at once."""
        names = {image_of(request) for request in coming}
        hashes = [image.recipe(name).hash for name in names if name in image.RECIPES]
        unbuilt = not all(Image(each, self.cache / "images" / each).complete for each in hashes)
        wishes = any(packages_of(request) for request in coming)
        return ["mmdebstrap"] * unbuilt + ["apt-get", "dpkg-scanpackages"] * wishes

    def _up(self, name: str) -> bool:
        record = self.project.find(name)
        return record is not None and (machine := self._machine(record)).running and machine.booted

    def _machine(self, record: Record) -> Machine:
        made = LightMachine if record.kind == "light" else Machine
        return made(self.project, record, Image(record.image, self.cache / "images" / record.image))

    def _machines(self, names: Sequence[str], *, missing_ok: bool = False) -> list[Machine]:
        found = {name: record for name in names if (record := self.project.find(name))}
        for name in names:
            if name not in found and not missing_ok:
                raise UsageError(f"there is no host {name!r}{did_you_mean(name, self.project.names())}", hint="create it first")
        return [self._machine(record) for record in found.values()]

    def _host(self, name: str) -> Host:
        record = self.project.find(name)
        if record is None:
            return Host(name, "absent")
        machine = self._machine(record)
        return Host(
            name=name,
            state="running" if machine.running else "stopped",
            address=self.network.address(record),
            identity_file=str(self.project.identity_file),
            known_host=machine.host_key,
        )


def boot(machine: Machine, identity: str) -> None:
    machine.prepare(identity)
    if not machine.running:
        machine.start()


def discard(machine: Machine) -> None:
    machine.kill()
    machine.drop_disk()


def together(action: Callable[[Machine], None], machines: Sequence[Machine]) -> None:
    """Do `action` to all machines at once; the first error is raised when all have ended."""
    if machines:
        with concurrent.futures.ThreadPoolExecutor(max_workers=min(16, len(machines))) as pool:
            futures = [pool.submit(action, machine) for machine in machines]
        for future in futures:
            future.result()
