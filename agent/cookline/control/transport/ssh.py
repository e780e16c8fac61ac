"""Hosts over SSH. The only importer of paramiko, which is loaded with the first connection (0.2 s).

A target resolves to a chain of hops (ProxyJump), each with strict host keys, its own timeout and its own keys to try. The last
hop's connection is what commands run on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cookline.control.transport import known_hosts
from cookline.control.transport.base import Connection, LinkLost, Target
from cookline.control.transport.jumps import SharedJumps
from cookline.control.transport.quick_socket import open_socket, unreachable
from cookline.control.transport.route import Hop, route
from cookline.control.transport.ssh_channel import SshChannel
from cookline.errors import AuthenticationError, HostKeyError, Unreachable

if TYPE_CHECKING:
    import paramiko

# Below the usual idle limits of firewalls; also what keeps the way through a jump host open.
KEEPALIVE_SECONDS = 15
# paramiko's reader wakes up this often on an open connection; its own 0.1 s would cost 300 idle hosts a sixth of a core.
IDLE_SECONDS = 1.0
# sshd's MaxStartups (10:30:100) drops logins at random while many are under way.
DROPPED_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 3.0, 4.0)
# A host that has said nothing for so long is asked whether it is there, and has so long to answer.
SILENCE_SECONDS, ANSWER_SECONDS = 30.0, 15.0
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class Dropped(Unreachable):
    """The server closed the connection before it said anything: too many logins at once (sshd's MaxStartups), or a restart."""


class SshTransport:
    """Connections by paramiko. Hosts behind the same jump host share one login there."""

    name = "ssh"

    def __init__(self) -> None:
        self.jumps: SharedJumps[paramiko.Transport] = SharedJumps(self._reach)

    def connect(self, target: Target) -> Connection:
        hops = route(target)
        transport = self._reach(hops)
        return SshConnection(replace(target, user=hops[-1].user, port=hops[-1].port), transport, self, tuple(hops[:-1]))

    def _reach(self, hops: Sequence[Hop]) -> paramiko.Transport:
        """Log in on the last hop by way of the others. A login that sshd dropped is tried again."""
        for pause in (*DROPPED_PAUSES_SECONDS, None):
            try:
                with self.open_way(hops) as way:
                    return _login(hops[-1], way)
            except Dropped:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last pause is None")

    @contextlib.contextmanager
    def open_way(self, hops: Sequence[Hop]) -> Iterator[Any]:
        """What carries a session with the last hop. When the body raises, the jump host is let go again."""
        before = tuple(hops[:-1])
        jump = self.jumps.acquire(before) if before else None
        try:
            yield _way(hops[-1], jump)
        except BaseException:
            self.jumps.release(before)
            raise


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


def _way(hop: Hop, before: paramiko.Transport | None) -> Any:
    """What carries the SSH session: a socket, a channel of the hop before, or a ProxyCommand."""
    if before is not None:
        import paramiko

        try:
            return before.open_channel("direct-tcpip", (hop.address, hop.port), ("127.0.0.1", 0), timeout=hop.timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = getattr(error, "text", "") or error
            raise Unreachable(
                f"the jump host cannot reach {hop.label} ({hop.place}): {reason}",
                hint="is it up, and may the jump host forward?",
            ) from None
    if hop.proxy_command:
        load_paramiko()
        from paramiko import ProxyCommand

        return ProxyCommand(hop.proxy_command)
    return open_socket(hop)  # before paramiko is imported: the server starts its session meanwhile


def _login(hop: Hop, way: Any) -> paramiko.Transport:
    """Key exchange, host key check and authentication over `way`."""
    load_paramiko()
    import paramiko

    transport = None
    begun = time.monotonic()
    try:
        transport = _transport(hop, way)
        known = known_hosts.lookup(hop.known_hosts, hop.key_name)
        _prefer(transport, known)
        transport.start_client(timeout=hop.timeout)
        _check_host_key(hop, transport.get_remote_server_key(), known)
        transport.set_keepalive(KEEPALIVE_SECONDS)
        _authenticate(hop, transport)
        transport.sock.settimeout(IDLE_SECONDS)
        return transport
    except BaseException as error:
        if transport is not None:
            transport.close()
        else:
            way.close()
        if isinstance(error, (paramiko.SSHException, EOFError, OSError)):
            raise _handshake_error(hop, error, time.monotonic() - begun) from None
        raise


def _transport(hop: Hop, way: Any) -> paramiko.Transport:
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


def _prefer(transport: paramiko.Transport, known: list[known_hosts.HostKey]) -> None:
    """curve25519 first (0.15 against 0.25 s for a login), and the kinds of host key that are known."""
    options = transport.get_security_options()
    options.kex = tuple(sorted(options.kex, key=lambda name: not name.startswith("curve25519")))
    kinds = {"rsa-sha2-512" if key.kind == "ssh-rsa" else key.kind for key in known if not key.revoked}
    kinds |= {"rsa-sha2-256"} if "rsa-sha2-512" in kinds else set()
    options.key_types = tuple(sorted(options.key_types, key=lambda name: name not in kinds))


def _handshake_error(hop: Hop, error: Exception, waited: float) -> Unreachable:
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


def _authenticate(hop: Hop, transport: paramiko.Transport) -> None:
    """Try the keys in order. Raises AuthenticationError, which says which ones were tried."""

    tried: list[str] = []
    with _ssh_agent() as agent:
        _try_keys(hop, transport, _candidates(hop, agent, tried), tried)


def _try_keys(hop: Hop, transport: paramiko.Transport, candidates: Iterable[tuple[str, Any]], tried: list[str]) -> None:
    import paramiko

    for name, key in candidates:
        tried.append(name)
        try:
            rest = transport.auth_publickey(hop.user, key)
        except paramiko.BadAuthenticationType as error:
            raise AuthenticationError(
                f"{hop.label} ({hop.place}) does not take keys for {hop.user}, only {', '.join(error.allowed_types)}",
                hint="allow PubkeyAuthentication for this user in sshd_config",
            ) from None
        except paramiko.AuthenticationException:
            if not transport.is_active():
                break
            continue
        if transport.is_authenticated():
            return
        if rest:
            raise AuthenticationError(
                f"{hop.label} ({hop.place}) also asks for {', '.join(rest)}", hint="cookline has keys alone"
            )
    tried_text = "; ".join(tried) or "there was no key to try"
    raise AuthenticationError(
        f"{hop.label} ({hop.place}) does not let {hop.user} in: {tried_text}",
        hint=f"add the public key to ~{hop.user}/.ssh/authorized_keys on the host, or name another with identity_file:",
    )


def _candidates(hop: Hop, agent: list[Any], tried: list[str]) -> Iterator[tuple[str, Any]]:
    """(name, key) in the order of trying: named files, what the agent holds, the default files."""
    offered: set[bytes] = set()
    files = hop.identity_files or (() if hop.identities_only else DEFAULT_KEYS)
    named = bool(hop.identity_files)
    for path in files if named else ():
        yield from _from_file(path, agent, offered, tried, named)
    if not hop.identities_only:
        for key in agent:
            if key.asbytes() not in offered:
                offered.add(key.asbytes())
                yield f"{getattr(key, 'comment', '') or key.get_name()} (agent)", key
    for path in files if not named else ():
        yield from _from_file(path, agent, offered, tried, named)


def _from_file(path: str, agent: list[Any], offered: set[bytes], tried: list[str], named: bool) -> Iterator[tuple[str, Any]]:
    import paramiko

    path = os.path.expanduser(path)
    try:
        key = _load_key(path, os.stat(path).st_mtime_ns)
    except FileNotFoundError:
        if named:
            tried.append(f"{path} (does not exist)")
        return
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        public = _public_part(path)
        held = next((one for one in agent if one.get_base64() == public), None)
        if held is None:
            locked = isinstance(error, (TypeError, paramiko.PasswordRequiredException))
            tried.append(f"{path} ({'has a passphrase and is not in the SSH agent' if locked else error})")
            return
        key = held
    if key.asbytes() not in offered:
        offered.add(key.asbytes())
        yield path, key


@lru_cache(maxsize=64)
def _load_key(path: str, _modified: int) -> paramiko.PKey:
    """A private key, read once for many hosts."""
    import paramiko

    return paramiko.PKey.from_path(path)


def _public_part(path: str) -> str:
    try:
        with open(path + ".pub", encoding="utf-8") as file:
            return file.read().split()[1]
    except (OSError, IndexError):
        return ""


@contextlib.contextmanager
def _ssh_agent() -> Iterator[list[Any]]:
    """The keys that the SSH agent holds; they sign over its connection, which is open meanwhile."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        yield []
        return
    import paramiko

    agent = None
    keys: list[Any] = []
    with contextlib.suppress(paramiko.SSHException, OSError):
        agent = paramiko.Agent()
        keys = list(agent.get_keys())
    try:
        yield keys
    finally:
        if agent is not None:
            agent.close()


class SshConnection:
    """An authenticated session that goes through the hops `before`."""

    def __init__(
        self, target: Target, transport: paramiko.Transport, opener: SshTransport, before: tuple[Hop, ...] = ()
    ) -> None:
        self.target = target
        self._transport = transport
        self._opener = opener
        self._before = before
        self._closed = False
        self._spare: Connection | None = None
        self._lock = threading.Lock()

    def execute(self, command: str) -> SshChannel:
        import paramiko

        try:
            channel = self._transport.open_session(timeout=self.target.connect_timeout)
        except paramiko.ChannelException:
            return self._spare_connection().execute(command)  # type: ignore[return-value]
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(error) from None
        try:
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            channel.close()
            raise self._lost(error) from None
        return SshChannel(channel, self.target, self.check_silence, SILENCE_SECONDS)

    def _lost(self, error: Exception) -> LinkLost:
        return LinkLost(
            f"the connection to {self.target.instance} ({self.target.address}) broke: {error or type(error).__name__}"
        )

    def _spare_connection(self) -> Connection:
        """A second login, for when the server's MaxSessions is used up."""
        with self._lock:
            if self._spare is None or not self._spare.alive():
                self._spare = self._opener.connect(self.target)
            return self._spare

    def check_silence(self) -> bool:
        """Ask sshd for a sign of life: a frozen host keeps TCP up. Closes the connection and returns False without one."""
        answered = threading.Event()

        def ask() -> None:
            self._transport.global_request("keepalive@openssh.com", wait=True)
            answered.set()

        threading.Thread(target=ask, name="keepalive", daemon=True).start()
        if answered.wait(ANSWER_SECONDS) and self._transport.is_active():
            return True
        self.close()
        return False

    def alive(self) -> bool:
        return not self._closed and self._transport.is_active()

    def close(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        if self._spare is not None:
            self._spare.close()
        self._transport.close()
        self._opener.jumps.release(self._before)


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


def scan(target: Target) -> Shown:
    """The key that the host shows now, not checked: for `cookline trust` alone. Jump hosts on the way are checked."""
    hops = route(target)
    last, opener = hops[-1], SshTransport()
    known = known_hosts.lookup(last.known_hosts, last.key_name)
    with opener.open_way(hops) as way:
        key = _shown_key(last, known, way)
    opener.jumps.release(tuple(hops[:-1]))
    return Shown(last.key_name, last.place, key, known)


def _shown_key(hop: Hop, known: list[known_hosts.HostKey], way: Any) -> known_hosts.HostKey:
    import paramiko

    begun = time.monotonic()
    transport = _transport(hop, way)
    try:
        _prefer(transport, known)
        transport.start_client(timeout=hop.timeout)
        key = transport.get_remote_server_key()
        return known_hosts.HostKey(key.get_name(), key.get_base64())
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _handshake_error(hop, error, time.monotonic() - begun) from None
    finally:
        transport.close()
