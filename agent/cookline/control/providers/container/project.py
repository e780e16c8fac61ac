"""What one project's hosts are, on disk: any process of the project reads the same, and a dead one leaves nothing unknown."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cookline.control.providers.container.requirements import run
from cookline.errors import UsageError

# A /24 holds .11 to .250: ten addresses stay free for the bridge and what a test puts beside it.
FIRST_ADDRESS, MOST_HOSTS = 10, 240

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Record:
    """One host: `number` (1..240) gives its address and its names in the kernel; `image` is the hash of its root file system.

    `packages` is the directory of its apt repository, `wanted` what that was asked to hold; `kind` is "" or "light".
    """

    name: str
    number: int
    image: str
    packages: str = ""
    wanted: Sequence[str] = ()
    kind: str = ""

    @property
    def hostname(self) -> str:
        return self.name.replace("_", "-")


@dataclass(frozen=True)
class Project:
    """The directory `.cookline/providers/container` of one project."""

    directory: Path

    @property
    def identifier(self) -> str:
        """Six hexadecimal digits that tell this project's bridges, namespaces and cgroups from those of other projects."""
        return hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()[:6]

    def label(self, record: Record) -> str:
        """The name of a host's link, network namespace, cgroup and machine; at most 12 of the 15 bytes that a link may have."""
        return f"ck{self.identifier}-{record.number}"

    def host_directory(self, name: str) -> Path:
        return self.directory / "hosts" / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held while hosts are made or unmade, not while they boot."""
        # .cookline, .cookline/providers and the provider's own: mkdir's mode would hold for the last alone
        for path in (*reversed(self.directory.parents[:2]), self.directory):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock(self.directory / "lock"):
            yield

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.directory.glob("hosts/*/host.json"))

    def find(self, name: str) -> Record | None:
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a host", hint="use letters, digits, '-', '_' and '.'")
        try:
            return Record(**json.loads((self.host_directory(name) / "host.json").read_text()))
        except FileNotFoundError:
            return None

    def check_room(self, names: Iterable[str]) -> None:
        """Raises UsageError when these hosts are more than the project has addresses for."""
        if len({*self.names(), *names}) > MOST_HOSTS:
            raise UsageError(f"{MOST_HOSTS} hosts are the most that one project can have in containers", hint="destroy some")

    def add(self, name: str, image: str) -> Record:
        """A new record under the smallest free number, not yet saved. Call it with the lock held."""
        taken = {record.number for other in self.names() if (record := self.find(other))}
        self.check_room([name])
        return Record(name, next(number for number in range(1, MOST_HOSTS + 1) if number not in taken), image)

    def save(self, record: Record) -> None:
        self.host_directory(record.name).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(self.host_directory(record.name) / "host.json", asdict(record))

    def forget(self, name: str) -> None:
        shutil.rmtree(self.host_directory(name), ignore_errors=True)

    @property
    def identity_file(self) -> Path:
        return self.directory / "id_ed25519"

    def identity(self) -> str:
        """The project's public key, which root and ops of each host accept. Call it with the lock held."""
        return make_key(self.identity_file, "cookline")


def make_key(path: Path, comment: str) -> str:
    """The public key line ("ssh-ed25519 AAAA..") of the key at `path`, which is made when it is not there."""
    if not path.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    key = public_key(path)
    assert key is not None, "ssh-keygen writes both halves"
    return key


def public_key(path: Path) -> str | None:
    """The public key line of the key at `path`, None where there is none."""
    try:
        return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def lock(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """An exclusive lock on the file at `path`, between processes and between threads; `waiting` is called when it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


def machine_lock() -> contextlib.AbstractContextManager[None]:
    """Held while something that all projects of the machine share is looked at and changed."""
    return lock(Path("/run/cookline-container.lock"))
