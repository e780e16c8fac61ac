"""One host: an overlay on the image, booted by a detached supervisor that outlives whoever started it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import time
from pathlib import Path

from cookline.control.providers.container.cgroup import ControlGroup
from cookline.control.providers.container.image import USERS, Image
from cookline.control.providers.container.project import Project, Record, make_key, public_key
from cookline.control.providers.container.requirements import run, write
from cookline.errors import CommandError, RunError

# A host boots in half a second; a hundred at once on two cores take fifty.
BOOT_SECONDS = 120.0
SHUTDOWN_SECONDS = 90.0  # systemd's own DefaultTimeoutStopSec

# systemd reads these real-time signals as "start poweroff.target" and "start reboot.target"
POWER_OFF, REBOOT = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5

# systemd-nspawn ends with this status when the host asked for a reboot
SUPERVISOR = """\
console=$1; shift
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done
shift
exec >/dev/null 2>&1
while :; do
  "$@" > "$console"
  [ $? -eq 133 ] || exit 0
done
"""

PACKAGES_INSIDE = "/srv/cookline-packages"


class Machine:
    def __init__(self, project: Project, record: Record, image: Image) -> None:
        self.project, self.record, self.image = project, record, image
        self.label = project.label(record)
        self.directory = project.host_directory(record.name)
        self.root = self.directory / "root"
        self.console = self.directory / "console.log"
        self.group = ControlGroup(self.label)

    @property
    def running(self) -> bool:
        return bool(self.group.processes())

    @property
    def host_key(self) -> str | None:
        """The host's public key line; the key outlives a reset, not a destroy."""
        return public_key(self.directory / "ssh_host_ed25519_key")

    def prepare(self, identity: str) -> None:
        """Mount the overlay; a new one gets keys and names. `identity` is the public key that may log in."""
        if not self.image.rootfs.is_dir():
            raise RunError(
                f"the image that {self.record.name} was made from is no longer in {self.image.directory.parent}",
                hint=f"destroy {self.record.name} and create it anew",
            )
        made = self.directory / "made"  # without it the disk is new, or was left half-made by a process that was killed
        if not made.exists():
            self.drop_disk()
        if not self.root.is_mount():
            self._mount()
        if not made.exists():
            self._write_identity(identity)
            made.touch()

    def _mount(self) -> None:
        for name in ("root", "upper", "work"):
            (self.directory / name).mkdir(exist_ok=True)
        (self.directory / "upper").chmod(0o755)  # the mode of the host's /
        layers = {"lowerdir": self.image.rootfs, "upperdir": self.directory / "upper", "workdir": self.directory / "work"}
        options = ",".join(f"{name}={_escape(path)}" for name, path in layers.items())
        try:
            run("mount", "-t", "overlay", self.label, "-o", options, str(self.root))
        except CommandError as error:
            raise RunError(
                f"the disk of {self.record.name} could not be mounted: {error.stderr.strip()}",
                hint=f"overlayfs must be in the kernel (`sudo modprobe overlay`) and {self.directory} on a local file system",
            ) from None

    def _write_identity(self, identity: str) -> None:
        """Only ever into a new overlay: later a link that root of the host laid might lead out of it."""
        make_key(self.directory / "ssh_host_ed25519_key", self.record.hostname)
        etc, name = self.root / "etc", self.record.hostname
        for suffix in ("", ".pub"):
            shutil.copy(self.directory / f"ssh_host_ed25519_key{suffix}", etc / "ssh")
        write(etc / "machine-id", hashlib.sha256(f"{self.label}/{name}".encode()).hexdigest()[:32] + "\n", 0o444)
        write(etc / "hostname", name + "\n")
        write(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        for home in (self.root / "root", *(self.root / "home" / user for user in USERS)):
            keys, owner = home / ".ssh" / "authorized_keys", home.stat()
            write(keys, identity + "\n", 0o600)
            os.chown(keys, owner.st_uid, owner.st_gid)
        self.prepare_packages()

    def prepare_packages(self) -> None:
        """Tell apt of the repository that the host gets."""
        write(self.root / "etc/apt/sources.list.d/cookline.list", f"deb [trusted=yes] file:{PACKAGES_INSIDE} ./\n")
        for path in Path(self.record.packages, "lists").iterdir():
            shutil.copy(path, self.root / "var/lib/apt/lists")

    def start(self) -> None:
        """Let the supervisor boot the host; returns as soon as it runs, see wait_ready."""
        self.group.make()
        self.console.write_text("")
        groups = [str(directory) for directory in self.group.directories]
        arguments = ["setsid", "--fork", "sh", "-c", SUPERVISOR, f"cookline-{self.label}", str(self.console), *groups, "--"]
        run(*arguments, *self._nspawn())

    def _nspawn(self) -> list[str]:
        arguments = ["systemd-nspawn", "--quiet", "--settings=no", "--boot", "--register=no", "--keep-unit"]
        arguments += [f"--directory={self.root}", f"--machine={self.label}", f"--hostname={self.record.hostname}"]
        arguments += [f"--network-namespace-path=/run/netns/{self.label}", "--resolv-conf=off", "--timezone=off"]
        # root may set up a firewall and routes, as on any host, in the host's own namespace
        arguments += ["--link-journal=no", "--console=read-only", "--capability=CAP_NET_ADMIN"]
        return [*arguments, f"--bind-ro={_colons(self.record.packages)}:{PACKAGES_INSIDE}"]

    def wait_ready(self, address: str, seconds: float = BOOT_SECONDS) -> None:
        """Return when systemd has reached multi-user.target and sshd answers; RunError with the console's end otherwise."""
        deadline = time.monotonic() + seconds
        while not (self.booted and _ssh_answers(address)):
            if not self.running:
                raise RunError(f"{self.record.name} stopped while it booted\n{self.last_words()}", hint=f"see {self.console}")
            if time.monotonic() > deadline:
                raise RunError(
                    f"{self.record.name} did not boot in {seconds:g} s\n{self.last_words()}", hint=f"see {self.console}"
                )
            time.sleep(0.02)

    @property
    def booted(self) -> bool:
        """Whether systemd has said that it is through with its start."""
        text = self.console.read_text(errors="replace")
        return any("Reached target" in line and "multi-user" in line.lower() for line in text.splitlines())

    def last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.console.read_text(errors="replace").splitlines()
            return "\n".join(repr(line)[1:-1] for line in lines[-8:])
        return ""

    def reboot(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """A clean reboot; returns when the new PID 1 has started, see wait_ready."""
        self.wait_rebooted(self._signal(REBOOT), seconds)

    def wait_rebooted(self, before: tuple[int, str] | None, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Return when another PID 1 than `before` runs."""
        deadline = time.monotonic() + seconds
        while (leader := self.group.leader()) is None or leader == before:
            if time.monotonic() > deadline or not self.running:
                raise RunError(f"{self.record.name} did not reboot in {seconds:g} s", hint=f"see {self.console}")
            time.sleep(0.01)

    def power_off(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """A clean shutdown; what has not ended after `seconds` is killed."""
        if self.running:
            self.group.thaw()
            with contextlib.suppress(RunError):
                self._signal(POWER_OFF)
                self.group.wait_empty(seconds)
            self.group.kill()

    def _signal(self, number: int) -> tuple[int, str]:
        leader = self.group.leader()
        if leader is None:
            raise RunError(f"{self.record.name} is not running", hint="boot it first")
        os.kill(leader[0], number)
        return leader

    def kill(self) -> None:
        self.group.kill()

    def drop_disk(self) -> None:
        """Forget every change that was made on the host; its keys stay."""
        (self.directory / "made").unlink(missing_ok=True)
        if self.root.is_mount():
            place = self.root.stat()
            try:
                run("umount", str(self.root))
            except CommandError:  # somebody looks at a file in it: it goes when they are done
                run("umount", "--lazy", str(self.root))
            # the lock that a killed systemd-nspawn leaves
            Path(f"/run/systemd/nspawn/locks/inode-{place.st_dev}:{place.st_ino}").unlink(missing_ok=True)
        for name in ("upper", "work", "root"):
            shutil.rmtree(self.directory / name, ignore_errors=True)

    def remove(self) -> None:
        """Leave nothing of the host on this machine but its directory."""
        self.kill()
        self.drop_disk()
        self.group.remove()
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self.label).rmdir()


def _escape(path: Path) -> str:
    """overlayfs takes ',' and ':' as separators."""
    return str(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def _colons(path: str) -> str:
    """systemd-nspawn takes ':' as a separator in --bind-ro."""
    return path.replace("\\", "\\\\").replace(":", "\\:")


def _ssh_answers(address: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=2) as connection:
        return connection.recv(4) == b"SSH-"
    return False
