"""Which keys are tried on a hop, in which order, and what is said when none is taken."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cookline.control.transport.ssh.route import Hop
from cookline.errors import AuthenticationError

if TYPE_CHECKING:
    import paramiko

DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


def authenticate(hop: Hop, transport: paramiko.Transport) -> None:
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
