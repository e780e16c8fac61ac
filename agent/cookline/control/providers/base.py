"""The one contract of everything that hosts come from: static, container, vagrant, ec2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Progress = Callable[[str], None]


@dataclass(frozen=True)
class HostRequest:
    """What a stack definition says of one host: its name and the provider's settings for it."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A host as its provider sees it; `state` is absent, stopped or running.

    `known_host` is the host's public key line ("ssh-ed25519 AAAA..") where the provider knows it for certain: it made the host.
    """

    name: str
    state: str
    address: str | None = None
    port: int = 22
    user: str = "root"
    identity_file: str | None = None
    known_host: str | None = None


class Provider(Protocol):
    """Every call is idempotent and takes several hosts at once; each raises CooklineError with the mending command.

    `can_start` is False where hosts are only described (static): they are marked, never started or stopped.
    """

    name: str
    can_start: bool

    def status(self, requests: Sequence[HostRequest]) -> list[Host]: ...

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        """Bring the hosts into being and boot them; those that exist are only booted. Returns when sshd answers."""

    def stop(self, names: Sequence[str], progress: Progress) -> None: ...

    def reboot(self, names: Sequence[str], progress: Progress) -> None: ...

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        """Leave nothing behind: mounts, namespaces, cgroups, files."""
