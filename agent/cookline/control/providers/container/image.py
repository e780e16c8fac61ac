"""The root file system that hosts share: built once from Debian packages, kept under the hash of its recipe."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cookline.control.providers.base import Progress
from cookline.control.providers.container.project import lock
from cookline.control.providers.container.requirements import NO_ROOM, require_programs, room, run, write
from cookline.errors import CommandError, RunError, UsageError, did_you_mean

BASE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "iproute2", "sudo", "ca-certificates", "cron", "procps"),
)

# A host on a network of its own has no use for these; apt's timers would hold the dpkg lock at a time of their choosing.
APT_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
MASKED = (
    *("e2scrub_all.timer", "fstrim.timer", "console-getty.service", "getty@.service"),
    *("systemd-resolved.service", "systemd-networkd.service", "systemd-timesyncd.service"),
)


@dataclass(frozen=True)
class Recipe:
    """What an image is made of. `max_sessions` is sshd's MaxSessions: 10 is what a real host has."""

    suite: str
    packages: tuple[str, ...] = BASE_PACKAGES
    masked: tuple[str, ...] = MASKED + APT_TIMERS
    max_sessions: int = 50
    # counted up when what this file makes of a recipe changes
    revision: int = 1

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def _realistic(suite: str) -> Recipe:
    """As hosts are outside: a login opens a session scope, apt's timers run, sshd allows ten sessions a connection."""
    return Recipe(suite, packages=(*BASE_PACKAGES, "libpam-systemd"), masked=MASKED, max_sessions=10)


RECIPES = {
    "debian-11": Recipe("bullseye"),
    "debian-12": Recipe("bookworm"),
    "debian-12-realistic": _realistic("bookworm"),
    "debian-13": Recipe("trixie"),
}
DEFAULT = "debian-12"

# Where releases go when their time is over.
ARCHIVE = "http://archive.debian.org/debian"

# The end of the name of a directory that an image is built in.
BUILDING = ".building"

# Without these no host boots, and no package is found for it.
PARTS = ("rootfs/lib/systemd/systemd", "rootfs/usr/sbin/sshd", "rootfs/var/lib/dpkg/status", "lists", "sources.list")

# root: by key. ops: by key, sudo without a password. deployer: by key, sudo asks for the password "deployer".
USERS = ("ops", "deployer")

# systemd-nspawn shows the machine's links in /sys/class/net; this unit lays the host's own over it.
NETWORK_UNIT = """\
[Unit]
Description=Show this host's own links in /sys
DefaultDependencies=no
Before=basic.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/show-own-links
[Install]
WantedBy=basic.target
"""
NETWORK_SCRIPT = """\
#!/bin/sh -e
mkdir -p /run/own-sys
mount -t sysfs -o ro sysfs /run/own-sys
for directory in class/net devices/virtual/net; do mount --bind /run/own-sys/$directory /sys/$directory; done
"""


@dataclass(frozen=True)
class Image:
    """A finished image: `rootfs` is read only to everybody, `lists` are the apt lists that it was built from."""

    hash: str
    directory: Path

    @property
    def rootfs(self) -> Path:
        return self.directory / "rootfs"

    @property
    def complete(self) -> bool:
        return (self.directory / "complete").exists()

    @property
    def lists(self) -> Path:
        return self.directory / "lists"


def cache_directory() -> Path:
    """Where images and packages are kept for all projects of a user: $XDG_CACHE_HOME/cookline, else ~/.cache/cookline."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cookline"


def unknown(name: str) -> str:
    """The sentence for a name that no image has."""
    return f"there is no image {name!r}{did_you_mean(name, RECIPES)} (images are {', '.join(RECIPES)})"


def recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise UsageError(unknown(name))
    return RECIPES[name]


def ensure(name: str, cache: Path, progress: Progress) -> Image:
    """The image called `name`, built where the cache does not hold it (20 to 40 s). One process builds, others wait for it."""
    wanted = recipe(name)
    image = Image(wanted.hash, cache / "images" / wanted.hash)
    if image.complete:
        _check_whole(image, name)
        return image
    require_programs("mmdebstrap")
    with room(cache, f"the image {name} takes 300 MB"):
        image.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        waiting = f"another command builds the image {name}; waiting for it"
        with lock(image.directory.with_suffix(".lock"), lambda: progress(waiting)):
            if not image.complete:
                progress(f"building the image {name} once (about half a minute)")
                _build(wanted, image, name)
    return image


def _check_whole(image: Image, name: str) -> None:
    """Something has cleaned up in the cache, or its disk is not well. Hosts may stand on it: nothing is done without a word."""
    for part in PARTS:
        path = image.directory / part
        if not path.exists() or (path.is_file() and not path.stat().st_size):
            raise RunError(
                f"the image {name} in the cache is damaged: {part} is {'empty' if path.exists() else 'not there'}",
                hint=f"sudo rm -r {image.directory}; then it is built anew, and hosts that stand on it are to be destroyed",
            )


def _build(wanted: Recipe, image: Image, name: str) -> None:
    """In a directory of its own that takes its place at the end: a build that was killed may have left children at work."""
    for left in image.directory.parent.glob(f"{wanted.hash}.*{BUILDING}"):
        shutil.rmtree(left, ignore_errors=True)
    building = Image(wanted.hash, Path(tempfile.mkdtemp(prefix=f"{wanted.hash}.", suffix=BUILDING, dir=image.directory.parent)))
    try:
        _fill(wanted, building, name)
        shutil.rmtree(image.directory, ignore_errors=True)
        building.directory.rename(image.directory)
    finally:
        shutil.rmtree(building.directory, ignore_errors=True)


def _fill(wanted: Recipe, image: Image, name: str) -> None:
    try:
        _bootstrap(wanted, image.rootfs)
    except CommandError as error:
        raise RunError(
            f"the image {name} could not be built from Debian's {wanted.suite}: {_reason(error.stderr)}",
            hint=_mirror_hint(wanted, error.stderr),
        ) from None
    shutil.move(image.rootfs / "var/lib/apt/lists", image.lists)
    (image.rootfs / "var/lib/apt/lists/partial").mkdir(parents=True)
    shutil.copy(image.rootfs / "etc/apt/sources.list", image.directory / "sources.list")
    _customise(wanted, image.rootfs)
    (image.directory / "complete").write_text(name + "\n")


def _reason(output: str) -> str:
    """Of a page of words those that say what went wrong."""
    lines = [line.strip() for line in output.splitlines()]
    signs = ("Err:", "E:", "dpkg: error", "W: Failed")
    telling = [line for line in lines if (line.startswith(signs) and " failed" not in line) or NO_ROOM in line]
    return "\n".join(dict.fromkeys(telling[:6] or lines[-6:]))


def _mirror_hint(wanted: Recipe, output: str) -> str:
    if any(sign in output for sign in ("404", "does not have a Release file")):
        return f"the mirror has no {wanted.suite} (any more): COOKLINE_DEBIAN_MIRROR={ARCHIVE} has what Debian has put away"
    return "is deb.debian.org reachable? COOKLINE_DEBIAN_MIRROR=http://HOST/debian names another mirror"


def _bootstrap(wanted: Recipe, rootfs: Path) -> None:
    options = ["--verbose", "--mode=root", "--variant=minbase", "--format=directory", "--skip=cleanup/apt/lists"]
    mirror = [url] if (url := os.environ.get("COOKLINE_DEBIAN_MIRROR")) else []
    # what has been put away is signed, but its signatures say until when they are good
    options += ['--aptopt=Acquire::Check-Valid-Until "false"'] if url == ARCHIVE else []
    run("mmdebstrap", *options, f"--include={','.join(wanted.packages)}", wanted.suite, str(rootfs), *mirror, timeout=900)


def _customise(wanted: Recipe, rootfs: Path) -> None:
    """What is the same on every host: users, sshd, units. Keys and names are each host's own, see machine.py."""
    for path in [
        *rootfs.glob("etc/ssh/ssh_host_*"),
        *rootfs.glob("etc/apt/apt.conf.d/*roxy*"),
        rootfs / "etc/apt/sources.list",
    ]:
        path.unlink()
    sshd = ["PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no"]
    # a fleet of controllers' tests logs in at once: 10 is where sshd's default begins to drop connections
    sshd += ["HostKey /etc/ssh/ssh_host_ed25519_key", "MaxStartups 200:30:400", f"MaxSessions {wanted.max_sessions}"]
    write(rootfs / "etc/ssh/sshd_config.d/cookline.conf", "\n".join(sshd) + "\n")
    write(rootfs / "etc/systemd/system/own-links.service", NETWORK_UNIT)
    write(rootfs / "usr/local/sbin/show-own-links", NETWORK_SCRIPT, 0o755)
    write(rootfs / "etc/resolv.conf", "")
    rules = {"ops": "ops ALL=(ALL:ALL) NOPASSWD: ALL", "deployer": "deployer ALL=(ALL:ALL) ALL"}
    for user, rule in rules.items():
        write(rootfs / "etc/sudoers.d" / user, rule + "\n", 0o440)
    commands = ["set -e", *(f"useradd --create-home --shell /bin/bash {user}" for user in USERS)]
    commands += ["echo deployer:deployer | chpasswd", "systemctl --quiet enable own-links.service"]
    commands += [f"systemctl --quiet mask {' '.join(wanted.masked)}"]
    for home in ("root", *(f"home/{user}" for user in USERS)):
        owner = home.rpartition("/")[2]
        commands.append(f"install -d -m 700 -o {owner} -g {owner} /{home}/.ssh")
    run("chroot", str(rootfs), "sh", stdin="\n".join(commands))
