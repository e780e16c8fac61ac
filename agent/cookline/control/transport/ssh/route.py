"""The way to a host: one hop for each SSH server on it, as ~/.ssh/config and the target say."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cookline.control.transport.base import Target
from cookline.control.transport.ssh import config, known_hosts
from cookline.errors import Unreachable

MAX_HOPS = 8
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


@dataclass(frozen=True)
class Hop:
    """One SSH server on the way; `label` is how errors name it, `key_name` the name its key is known under."""

    label: str
    address: str
    port: int
    user: str
    key_name: str
    known_hosts: tuple[str, ...]
    identity_files: tuple[str, ...]
    identities_only: bool
    timeout: float
    trust_hint: str
    proxy_command: str | None = None

    @property
    def place(self) -> str:
        return known_hosts.host_name(self.address, self.port)


def route(target: Target) -> list[Hop]:
    """The hops from here to the target, the target last. Raises Unreachable when jump hosts go in a circle."""
    return _route(target.address, target.port, target.user, target, depth=0)


def _route(name: str, port: int | None, user: str | None, target: Target, *, depth: int) -> list[Hop]:
    if depth > MAX_HOPS:
        raise Unreachable(f"the jump hosts of {target.address} lead in a circle", hint="look at ProxyJump in ~/.ssh/config")
    said = config.settings(name, target.ssh_config, user=user, port=port)
    before: list[Hop] = []
    for number, jump in enumerate(said.proxy_jump):
        jump_user, jump_name, jump_port = parse_place(jump)
        chain = _route(jump_name, jump_port, jump_user, target, depth=depth + 1)
        before += chain if number == 0 else chain[-1:]
    own = depth == 0
    files = said.user_known_hosts if said.user_known_hosts is not None else USER_KNOWN_HOSTS
    shared = said.global_known_hosts if said.global_known_hosts is not None else GLOBAL_KNOWN_HOSTS
    explicit = (os.path.expanduser(target.identity_file),) if target.identity_file else ()
    address, reached_port = said.hostname, said.port or 22
    return [
        *before,
        Hop(
            label=target.instance if own else f"jump host {name}",
            address=address,
            port=reached_port,
            user=said.user or config.local_user(),
            key_name=said.host_key_alias or known_hosts.host_name(address, reached_port),
            known_hosts=(*target.known_hosts, *files, *shared),
            identity_files=explicit if own and explicit else (*said.identity_files, *explicit),
            identities_only=said.identities_only or (own and bool(explicit)),
            timeout=said.connect_timeout if said.connect_timeout is not None else target.connect_timeout,
            trust_hint=f"cookline trust {target.instance if own else known_hosts.host_name(name, port or 22)}",
            proxy_command=said.proxy_command,
        ),
    ]


def parse_place(text: str) -> tuple[str | None, str, int | None]:
    """user, host and port of "[ssh://][user@]host[:port]"."""
    user, _, place = text.strip().removeprefix("ssh://").rpartition("@")
    host, _, port = place.rpartition(":") if place.count(":") == 1 or "]:" in place else (place, "", "")
    return user or None, host.strip("[]"), int(port) if port.isdigit() else None
