"""Real hosts for tests: one pool a test process, made by the project's own container provider, gone when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import testinfra
from testinfra.host import Host as TestinfraHost

from cookline.control.providers.base import Host, HostRequest
from cookline.control.providers.container.machine import Machine
from cookline.control.providers.container.project import lock
from cookline.control.providers.container.provider import ContainerProvider
from cookline.control.providers.container.requirements import require_root

PREFIX = "cookline-tests-"

# Debian packages that every host of the pool can install; cookline-hello 1.0 and 1.1 come on top.
PACKAGES = ("haproxy", "postgresql", "python3-psycopg2", "curl", "logrotate", "nftables", "locales", "git")

# A pool of hosts in memory needs this much; where /dev/shm has less (a container's default is 64 MB) the disk must do.
MEMORY_NEEDED = 4 << 30


@dataclass
class LabHost:
    """One host of the pool, and what can be done to it. `ssh_config` is a file in which its name is a Host."""

    name: str
    address: str
    port: int
    user: str
    identity_file: str
    known_host: str
    ssh_config: Path
    provider: ContainerProvider

    def run(
        self, command: str, *, user: str = "root", stdin: str = "", check: bool = False, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the host over OpenSSH. `check`: a status other than 0 is an AssertionError with its output."""
        arguments = ["ssh", "-F", str(self.ssh_config), "-l", user, self.name, command]
        done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout)
        if check:
            assert done.returncode == 0, f"{self.name}: {command!r} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @property
    def controller_address(self) -> str:
        """Where the host reaches this machine: bind a server here for it to call."""
        address = self.provider.network.controller_address
        assert address is not None
        return address

    @cached_property
    def testinfra(self) -> TestinfraHost:
        return testinfra.get_host(f"ssh://{self.name}", ssh_config=str(self.ssh_config), controlpersist=0)

    @property
    def machine(self) -> Machine:
        return self.provider.faults(self.name).machine

    @property
    def root(self) -> Path:
        """The host's file system as its own processes see it, with /run and all that is mounted there, for this machine."""
        leader = self.machine.group.leader()
        assert leader is not None, f"{self.name} does not run"
        return Path(f"/proc/{leader[0]}/root")

    def inside(self, path: str) -> Path:
        """Where a path of the host leads, with its links followed as they lead there."""
        return self._inside(path, 0)

    def _inside(self, path: str, depth: int) -> Path:
        place = self.root
        parts = [part for part in path.split("/") if part]
        for number, part in enumerate(parts):
            here = "/" + "/".join(parts[:number])
            if (place / part).is_symlink() and depth < 40:  # the kernel's own limit
                target = os.path.normpath(os.path.join(here, os.readlink(place / part), *parts[number + 1 :]))
                return self._inside(target, depth + 1)
            place /= part
        return place

    def partition(self) -> None:
        self.provider.faults(self.name).partition()

    def heal(self) -> None:
        self.provider.faults(self.name).heal()

    def freeze(self) -> None:
        self.provider.faults(self.name).freeze()

    def thaw(self) -> None:
        self.provider.faults(self.name).thaw()

    def power_cut(self) -> None:
        self.provider.faults(self.name).power_cut()

    def boot(self) -> None:
        self.provider.faults(self.name).boot()

    def reboot(self) -> None:
        self.provider.faults(self.name).reboot()

    def expect_reboot(self) -> contextlib.AbstractContextManager[None]:
        """Around something that makes the host reboot by itself: returns when sshd answers again."""
        return self.provider.faults(self.name).expect_reboot()


class Pool:
    """The hosts of this test process. `take` gives fresh ones; `give_back` lets them be reset while the next test begins."""

    def __init__(self, directory: Path, packages: Sequence[str] = PACKAGES) -> None:
        self.directory, self.packages = directory, packages
        self.provider = ContainerProvider(directory)
        self.debs = build_hello_packages(directory / "debs")
        self._used: list[str] = []
        self._reset: threading.Thread | None = None
        self._failure: BaseException | None = None

    def take(self, names: Sequence[str], image: str) -> list[LabHost]:
        """The hosts called `names`, each as it was made or as the running test left it."""
        self._await_reset()
        settings = {"image": image, "packages": [*self.packages, *map(str, self.debs)]}
        hosts = self.provider.create([HostRequest(name, settings) for name in names], progress=print)
        self._used += [name for name in names if name not in self._used]
        self._write_ssh_config()
        return [self._lab_host(host) for host in hosts]

    def give_back(self) -> None:
        if self._used:
            self._reset = threading.Thread(target=self._reset_hosts, args=(self._used,))
            self._used = []
            self._reset.start()

    def _reset_hosts(self, names: list[str]) -> None:
        try:
            self.provider.reset(names, progress=lambda _: None)
        except BaseException as error:
            self._failure = error

    def _await_reset(self) -> None:
        if self._reset:
            self._reset.join()
            self._reset = None
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._await_reset()
        self.provider.destroy(self.provider.project.names(), progress=lambda _: None)

    def _lab_host(self, host: Host) -> LabHost:
        assert host.address and host.identity_file and host.known_host
        facts = (host.name, host.address, host.port, host.user, host.identity_file, host.known_host)
        return LabHost(*facts, ssh_config=self.directory / "ssh_config", provider=self.provider)

    def _write_ssh_config(self) -> None:
        hosts = self.provider.status([HostRequest(name) for name in self.provider.project.names()])
        (self.directory / "known_hosts").write_text("".join(f"{host.address} {host.known_host}\n" for host in hosts))
        lines = [line for host in hosts for line in (f"Host {host.name}", f"  HostName {host.address}")]
        options = {
            "User": "root",
            "IdentityFile": self.provider.project.identity_file,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.directory / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "LogLevel": "ERROR",
            # OpenSSH's first choice costs 0.1 s more on each login
            "KexAlgorithms": "curve25519-sha256",
        }
        lines += ["Host *", *(f"  {name} {value}" for name, value in options.items())]
        (self.directory / "ssh_config").write_text("\n".join(lines) + "\n")


@contextlib.contextmanager
def open_pool(packages: Sequence[str] = PACKAGES) -> Iterator[Pool]:
    """A pool that is torn down at the end, whatever happens."""
    with owned_directory() as directory:
        pool = Pool(directory, packages)
        try:
            yield pool
        finally:
            pool.close()


@contextlib.contextmanager
def owned_directory() -> Iterator[Path]:
    """A directory for hosts that must not outlive this process; what killed test processes left behind goes first."""
    require_root()
    with lock(Path("/run/cookline-tests.lock")):
        remove_orphans()
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place()))
        owner = os.open(directory / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(owner, fcntl.LOCK_EX)  # held as long as this process lives: see remove_orphans
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(owner)


def remove_orphans() -> None:
    """Destroy the hosts of every pool whose process is dead."""
    for directory in [path for place in ("/dev/shm", tempfile.gettempdir()) for path in Path(place).glob(f"{PREFIX}*")]:
        if directory.stat().st_uid != os.geteuid():
            continue
        descriptor = os.open(directory / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            for place in (directory, *directory.glob("kitchen")):  # a test of the kitchen has its hosts there
                provider = ContainerProvider(place)
                provider.destroy(provider.project.names(), progress=lambda _: None)
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(descriptor)


def _place() -> str:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_mount() and shutil.disk_usage(memory).free > MEMORY_NEEDED else tempfile.gettempdir()


def build_hello_packages(directory: Path) -> list[Path]:
    """cookline-hello 1.0 and 1.1: the smallest package that can be installed, upgraded, downgraded and removed."""
    return [_build_hello(directory, version) for version in ("1.0", "1.1")]


def _build_hello(directory: Path, version: str) -> Path:
    tree, package = directory / f"tree-{version}", directory / f"cookline-hello_{version}_all.deb"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    fields = {
        "Package": "cookline-hello",
        "Version": version,
        "Architecture": "all",
        "Maintainer": "cookline <cookline@example.net>",
    }
    fields["Description"] = "says hello, for tests"
    (tree / "DEBIAN/control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    (tree / "usr/bin/cookline-hello").write_text(f"#!/bin/sh\necho hello {version}\n")
    (tree / "usr/bin/cookline-hello").chmod(0o755)
    # the same bytes each time: the provider keeps a repository by the contents of its packages
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return package
