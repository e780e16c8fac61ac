"""The apt repository that hosts install from: what they may need, fetched on this machine, with everything it depends on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from cookline.control.providers.base import Progress
from cookline.control.providers.container.image import Image
from cookline.control.providers.container.project import lock
from cookline.control.providers.container.requirements import require_programs, room, run, write
from cookline.errors import CommandError, RunError, UsageError

# 'http://deb.debian.org/.../haproxy_2.6.12-1%2bdeb12u2_amd64.deb' haproxy_2.6.12-1+deb12u2_amd64.deb 2038560 SHA256:ab..
PRINTED = re.compile(r"^'([^']+)' (\S+\.deb) (\d+) (\S*)$", re.MULTILINE)

# as dpkg-scanpackages writes them
FILENAME = re.compile(r"^Filename: (\S+)$", re.MULTILINE)
SIZE = re.compile(r"^Size: (\d+)$", re.MULTILINE)


def ensure(image: Image, wanted: Sequence[str], cache: Path, progress: Progress) -> str:
    """The directory of a repository with `wanted` (package names, paths of .deb files) and all they depend on beyond `image`.

    It holds the .deb files, `Packages`, and `lists`: what `apt-get update` would leave on a host. Made once for equal wishes.
    """
    files = [Path(name).absolute() for name in wanted if "/" in name]
    names = [name for name in wanted if "/" not in name]
    directory = cache / "packages" / _key(image, names, files)
    with room(cache, f"packages for hosts are kept there ({', '.join(wanted)})"):
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock(directory.with_suffix(".lock")):
            if not is_whole(directory):
                _build(image, names, files, directory, progress)
    return str(directory)


def is_whole(directory: Path) -> bool:
    """Whether the repository was made to its end, and each of its packages is still there in its whole length."""
    try:
        index = (directory / "Packages").read_text()
        sizes = zip(FILENAME.findall(index), SIZE.findall(index), strict=True)
        return (directory / "complete").exists() and all((directory / name).stat().st_size == int(size) for name, size in sizes)
    except (OSError, ValueError):
        return False


def _key(image: Image, names: Sequence[str], files: Sequence[Path]) -> str:
    for path in files:
        if not path.is_file():
            raise UsageError(f"there is no package file {path}", hint="correct `packages` in the host's settings")
    contents = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256(json.dumps([image.hash, sorted(names), contents]).encode()).hexdigest()[:12]


def _build(image: Image, names: Sequence[str], files: Sequence[Path], directory: Path, progress: Progress) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    directory.chmod(0o755)
    if names or files:
        require_programs("apt-get", "dpkg-scanpackages")
    if names:
        progress(f"fetching {', '.join(names)} and what they depend on")
        pool = directory.parent / f"pool-{image.hash}"
        for name in _fetch(image, names, pool):
            os.link(pool / name, directory / name)
    for path in files:
        shutil.copy(path, directory / path.name)
        (directory / path.name).chmod(0o644)
    scan = 'cd "$1" && dpkg-scanpackages --multiversion .'
    write(directory / "Packages", run("sh", "-c", scan, "sh", str(directory), timeout=300) if names or files else "")
    _make_lists(directory)
    (directory / "complete").write_text("")


def _make_lists(directory: Path) -> None:
    """What a host's apt knows of the repository after an update, so that a new host is like one that has been updated."""
    lists = directory / "lists"
    lists.mkdir()
    shutil.copy(directory / "Packages", lists / "_srv_cookline-packages_._Packages")


def _fetch(image: Image, names: Sequence[str], pool: Path) -> list[str]:
    """Download the packages and everything that they depend on and `image` lacks into `pool`; return their file names."""
    (pool / "partial").mkdir(parents=True, exist_ok=True)
    try:
        return _download(image, names, pool)
    except CommandError as error:
        if "Unable to locate package" in error.stderr or "has no installation candidate" in error.stderr:
            raise UsageError(
                f"Debian has no such package: {error.stderr.strip()}", hint="correct `packages` in the host's settings"
            ) from None
    try:  # the mirror has newer files than the lists of the day on which the image was made
        run("apt-get", *_options(image, pool), "update", timeout=300)
        return _download(image, names, pool)
    except CommandError as error:
        raise RunError(
            f"the packages {', '.join(names)} could not be fetched: {error.stderr.strip()[-1500:]}",
            hint="is the Debian mirror that the image was made from reachable?",
        ) from None


def _download(image: Image, names: Sequence[str], pool: Path) -> list[str]:
    install = [*_options(image, pool), "--yes", "--no-install-recommends", "install", *names]
    # apt leaves out of this list what its archive has already, from another repository: so it is shown an empty one
    nothing = image.directory / "apt-cache" / "nothing"
    (nothing / "partial").mkdir(parents=True, exist_ok=True)
    printed = run("apt-get", "--print-uris", *install, "-o", f"Dir::Cache::archives={nothing}", timeout=120)
    run("apt-get", "--download-only", *install, timeout=900)
    return [match[1] for match in PRINTED.findall(printed)]


def _options(image: Image, pool: Path) -> list[str]:
    """apt on this machine, looking at the image as if it were the system: its lists, sources, keys and dpkg status."""
    rootfs = image.rootfs
    values = {
        "Dir::State": image.directory / "apt-state",
        "Dir::State::lists": image.lists,
        "Dir::State::status": rootfs / "var/lib/dpkg/status",
        "Dir::State::extended_states": rootfs / "var/lib/apt/extended_states",
        "Dir::Cache": image.directory / "apt-cache",
        "Dir::Cache::archives": pool,
        "Dir::Etc::sourcelist": image.directory / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::trustedparts": rootfs / "etc/apt/trusted.gpg.d",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    return [option for name, value in values.items() for option in ("-o", f"{name}={value}")]
