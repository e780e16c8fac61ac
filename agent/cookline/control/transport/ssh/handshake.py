"""The login on one hop: key exchange, host key check, authentication."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from cookline.control.transport.ssh import known_hosts
from cookline.control.transport.ssh.authentication import authenticate
from cookline.control.transport.ssh.quick_socket import unreachable
from cookline.control.transport.ssh.route import Hop
from cookline.errors import HostKeyError, Unreachable

if TYPE_CHECKING:
    import paramiko

# Below the usual idle limits of firewalls; also what keeps the way through a jump host open.
KEEPALIVE_SECONDS = 15
# paramiko's reader wakes up this often on an open connection; its own 0.1 s would cost 300 idle hosts a sixth of a core.
IDLE_SECONDS = 1.0


class Dropped(Unreachable):
    """The server closed the connection before it said anything: too many logins at once (sshd's MaxStartups), or a restart."""


_loading = threading.Lock()


def load_paramiko() -> None:
    """Import paramiko without invoke, which it looks for to run the commands of `Match exec` lines that it never reads here:
    that is half of its import."""
    with _loading:
        if "paramiko" in sys.modules or "invoke" in sys.modules:
            return
        sys.modules["invoke"] = None  # type: ignore[assignment]
        try:
            import paramiko  # noqa: F401
        finally:
            del sys.modules["invoke"]


def log_in(hop: Hop, way: Any) -> paramiko.Transport:
    """Key exchange, host key check and authentication over `way`."""
    load_paramiko()
    import paramiko

    transport = None
    begun = time.monotonic()
    try:
        transport = new_transport(hop, way)
        known = known_hosts.lookup(hop.known_hosts, hop.key_name)
        prefer(transport, known)
        transport.start_client(timeout=hop.timeout)
        _check_host_key(hop, transport.get_remote_server_key(), known)
        transport.set_keepalive(KEEPALIVE_SECONDS)
        authenticate(hop, transport)
        transport.sock.settimeout(IDLE_SECONDS)
        return transport
    except BaseException as error:
        if transport is not None:
            transport.close()
        else:
            way.close()
        if isinstance(error, (paramiko.SSHException, EOFError, OSError)):
            raise handshake_error(hop, error, time.monotonic() - begun) from None
        raise


def new_transport(hop: Hop, way: Any) -> paramiko.Transport:
    """An SSH session that has not begun. What paramiko logs is our errors once more, with its own tracebacks."""
    import logging

    import paramiko

    logger = logging.getLogger("paramiko")
    logger.propagate = bool(os.environ.get("COOKLINE_DEBUG"))
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    transport = paramiko.Transport(way)
    transport.daemon = True
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = hop.timeout
    return transport


def prefer(transport: paramiko.Transport, known: list[known_hosts.HostKey]) -> None:
    """curve25519 first (0.15 against 0.25 s for a login), and the kinds of host key that are known."""
    options = transport.get_security_options()
    options.kex = tuple(sorted(options.kex, key=lambda name: not name.startswith("curve25519")))
    kinds = {"rsa-sha2-512" if key.kind == "ssh-rsa" else key.kind for key in known if not key.revoked}
    kinds |= {"rsa-sha2-256"} if "rsa-sha2-512" in kinds else set()
    options.key_types = tuple(sorted(options.key_types, key=lambda name: name not in kinds))


def handshake_error(hop: Hop, error: Exception, waited: float) -> Unreachable:
    text = str(error).lower()
    if waited < hop.timeout / 2 and (isinstance(error, (EOFError, ConnectionResetError)) or "banner" in text):
        return Dropped(
            f"{hop.label} ({hop.place}) closed the connection before the login", hint="look at sshd's log on the host"
        )
    if isinstance(error, OSError) and not isinstance(error, EOFError):
        return unreachable(hop, error)
    # start_client gives up silently when its time is over; there is "no existing session" then
    if any(word in text for word in ("banner", "timed out", "timeout", "no existing session")):
        return Unreachable(
            f"{hop.label} ({hop.place}) accepted the connection, but its SSH server did not answer within {hop.timeout:g} s",
            hint="is it an SSH server, and is the host not frozen or overloaded?",
        )
    return Unreachable(f"{hop.label} ({hop.place}): {error}", hint=f"try: ssh -v -p {hop.port} {hop.user}@{hop.address}")


def _check_host_key(hop: Hop, key: paramiko.PKey, known: list[known_hosts.HostKey]) -> None:
    found = known_hosts.HostKey(key.get_name(), key.get_base64())
    matching = [pinned for pinned in known if (pinned.kind, pinned.blob) == (found.kind, found.blob)]
    if any(pinned.revoked for pinned in matching):
        raise HostKeyError(f"{hop.label} ({hop.place}) shows a revoked host key: {found}", hint="replace the host's keys")
    if matching:
        return
    if not known:
        raise HostKeyError(
            f"the host key of {hop.label} ({hop.place}) is not known; it shows {found}",
            hint=f"compare it and pin it: {hop.trust_hint}",
        )
    expected = "\n".join(f"  expected {pinned} ({pinned.file}:{pinned.line})" for pinned in known)
    raise HostKeyError(
        f"the host key of {hop.label} ({hop.place}) has changed:\n{expected}\n  found    {found}",
        hint=f"a new machine, or somebody in between; when you know that it is right: {hop.trust_hint}",
    )
