"""The key that a host shows, beside the ones that are pinned: for `cookline trust` alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cookline.control.transport.base import Target
from cookline.control.transport.ssh import known_hosts
from cookline.control.transport.ssh.handshake import handshake_error, new_transport, prefer
from cookline.control.transport.ssh.route import Hop, route
from cookline.control.transport.ssh.transport import SshTransport


@dataclass(frozen=True)
class Shown:
    """What a host shows and what is known of it; `name` is the one that its key is known under (see known_hosts.host_name)."""

    name: str
    place: str
    key: known_hosts.HostKey
    known: list[known_hosts.HostKey]

    @property
    def status(self) -> str:
        """trusted, new, changed or revoked."""
        same = [key for key in self.known if (key.kind, key.blob) == (self.key.kind, self.key.blob)]
        if same:
            return "revoked" if any(key.revoked for key in same) else "trusted"
        return "changed" if self.known else "new"


def scan(target: Target, wanted: list[known_hosts.HostKey] | None = None) -> Shown:
    """The key that the host shows now, not checked: for `cookline trust` alone. Jump hosts on the way are checked.

    Of several keys it is asked for one of the kind of `wanted`, else of the kind that is known.
    """
    hops = route(target)
    last, opener = hops[-1], SshTransport()
    known = known_hosts.lookup(last.known_hosts, last.key_name)
    with opener.open_way(hops) as way:
        key = _shown_key(last, wanted or known, way)
    opener.jumps.release(tuple(hops[:-1]))
    return Shown(last.key_name, last.place, key, known)


def _shown_key(hop: Hop, known: list[known_hosts.HostKey], way: Any) -> known_hosts.HostKey:
    import paramiko

    begun = time.monotonic()
    transport = new_transport(hop, way)
    try:
        prefer(transport, known)
        transport.start_client(timeout=hop.timeout)
        key = transport.get_remote_server_key()
        return known_hosts.HostKey(key.get_name(), key.get_base64())
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise handshake_error(hop, error, time.monotonic() - begun) from None
    finally:
        transport.close()
