"""Hosts that are only described: somebody else made them and keeps them running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cookline.control.providers.base import Host, HostRequest, Progress
from cookline.errors import UsageError, did_you_mean

SETTINGS = ("address", "port", "user", "identity_file")


class StaticProvider:
    """Settings: `address` (required), `port`, `user`, `identity_file`.

    A described host counts as running: whether it answers is found out by those who speak to it.
    """

    name = "static"
    can_start = False

    def status(self, requests: Sequence[HostRequest]) -> list[Host]:
        return [_host(request) for request in requests]

    def create(self, requests: Sequence[HostRequest], progress: Progress) -> list[Host]:
        return self.status(requests)

    def stop(self, names: Sequence[str], progress: Progress) -> None:
        _refuse("stopped", names)

    def reboot(self, names: Sequence[str], progress: Progress) -> None:
        _refuse("rebooted", names)

    def destroy(self, names: Sequence[str], progress: Progress) -> None:
        """Nothing was made, so nothing is taken away."""


def problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a host's settings: (which one, a sentence)."""
    for key in settings:
        if key not in SETTINGS:
            near = did_you_mean(key, SETTINGS) or f"; settings are {', '.join(SETTINGS)}"
            yield key, f"a static host has no setting {key!r}{near}"
    if not settings.get("address"):
        yield "address", "a static host needs an `address` in its settings"
    port = settings.get("port")
    if port is not None and not (type(port) is int and 0 < port < 65536):
        yield "port", f"`port` wants a number from 1 to 65535, not {port!r}"


def _host(request: HostRequest) -> Host:
    settings = request.settings
    if not settings.get("address"):
        raise UsageError(
            f"{request.name} has no address, and its provider, static, cannot find one",
            hint="give the instance an address, or `provider: container`",
        )
    return Host(
        name=request.name,
        state="running",
        address=str(settings["address"]),
        port=int(settings.get("port") or 22),
        user=str(settings.get("user") or "root"),
        identity_file=str(settings["identity_file"]) if settings.get("identity_file") else None,
    )


def _refuse(what: str, names: Sequence[str]) -> None:
    raise UsageError(
        f"{', '.join(names)} cannot be {what}: hosts of the static provider are only described",
        hint=f"let {'them' if len(names) > 1 else 'it'} be {what} by whoever runs the machine",
    )
