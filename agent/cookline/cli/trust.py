"""cookline trust: look at a host's key and pin it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson
from cookline.cli.session import session
from cookline.errors import EXIT_DIFFERS, HostKeyError, UsageError

if TYPE_CHECKING:
    from cookline.control.transport.base import Target
    from cookline.control.transport.ssh.known_hosts import HostKey
    from cookline.control.transport.ssh.scan import Shown

KEY = "Pin this key, which you know from elsewhere, if the host shows it: 'ssh-ed25519 AAAA..'."
OWN_FILES = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


def trust(
    names: Annotated[list[str], typer.Argument(metavar="HOST...", help="Instances of pushed stacks, or [user@]host[:port].")],
    stack: Annotated[str, typer.Option("--stack", help="The stack whose instances are meant; every stack without it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Pin without asking.")] = False,
    key: Annotated[str, typer.Option("--key", help=KEY)] = "",
    as_json: AsJson = False,
) -> None:
    """Show the key of a host, the pinned one beside it when it changed, and pin what you agree to.

    Pins go to .cookline/known_hosts. Without a terminal and without --yes or --key nothing is pinned. Exit code 3: a key is not
    trusted; 4: the host shows another one than --key.

    Example: cookline trust web1
    """
    results = [trusted(name, stack, yes=yes, key=_parsed(key), quiet=as_json) for name in names]
    if as_json:
        session().json(results)
    if not all(result["trusted"] for result in results):
        raise typer.Exit(EXIT_DIFFERS)


def trusted(name: str, stack: str = "", *, yes: bool, quiet: bool, key: HostKey | None = None) -> dict[str, Any]:
    """Show the key of an instance or a place and pin it when somebody agrees, or when it is `key`; `trusted` says whether it is
    the pinned one. Raises HostKeyError for a key that is revoked, or another than `key`."""
    from cookline.control.transport.ssh import known_hosts
    from cookline.control.transport.ssh.scan import scan

    here = session()
    pins = str(here.directory / "known_hosts")
    shown = scan(_target(name, stack, pins), [key] if key else None)
    if not quiet:
        _print(name, shown)
    if shown.status == "revoked":
        raise HostKeyError(f"{name} shows a key that is marked as revoked: {shown.key}", hint="replace the host's keys")
    if key is not None and (key.kind, key.blob) != (shown.key.kind, shown.key.blob):
        raise HostKeyError(f"{name} shows {shown.key}, not {key}", hint="is something else at this address? Nothing was pinned")
    trusted = shown.status == "trusted"
    if not trusted and (yes or key is not None or (not quiet and _agreed(name))):
        known_hosts.pin(pins, shown.name, [shown.key])
        trusted = True
        if not quiet:
            here.say(f"pinned in {pins}")
    return {
        "name": name,
        "address": shown.place,
        "status": shown.status,
        "trusted": trusted,
        "key": _described(shown.key),
        "known": [_described(key) for key in shown.known],
    }


def _parsed(text: str) -> HostKey | None:
    """The key of "ssh-ed25519 AAAA.. comment"; None of nothing. Raises UsageError."""
    from cookline.control.transport.ssh.known_hosts import HostKey, is_key

    if not text:
        return None
    kind, _, rest = text.strip().partition(" ")
    key = HostKey(kind, rest.split(" ")[0])
    if not is_key(key):
        raise UsageError(f"--key {text[:60]!r} is no public key", hint="the host has it in /etc/ssh/ssh_host_ed25519_key.pub")
    return key


def _described(key: Any) -> dict[str, Any]:
    return {**asdict(key), "fingerprint": key.fingerprint}


def _print(name: str, shown: Shown) -> None:
    here = session()
    where = name if name == shown.place else f"{name} ({shown.place})"
    words = {
        "trusted": "shows the key that is pinned",
        "new": "is not known yet",
        "changed": "shows ANOTHER KEY than the pinned one",
    }
    here.say(f"{where} {words.get(shown.status, shown.status)}")
    for key in shown.known:
        here.say(f"  pinned  {key}  {key.file}:{key.line}")
    if shown.status != "trusted":
        here.say(f"  shown   {shown.key}")


def _agreed(name: str) -> bool:
    here = session()
    if not here.terminal.interactive:
        here.warn(f"nothing is pinned; when the key is right: cookline trust {name} --yes")
        return False
    return typer.confirm("Is it the right one (ssh-keygen -l on the host shows it)? Pin it?", default=False)


def _target(name: str, stack: str, pins: str) -> Target:
    """The instance of that name of a pushed stack, else an address. Raises SelectorError for an unknown stack."""
    from cookline.control.transport.base import Target

    found = _instance(name, stack)
    if found is not None:
        return Target(name, known_hosts=(pins, *OWN_FILES), **found)
    return target_of_place(name)


def target_of_place(place: str) -> Target:
    """The host at [user@]host[:port], whose key is looked for where `trust` pins it and where ssh would look."""
    from cookline.control.transport.base import Target
    from cookline.control.transport.ssh.route import parse_place

    user, address, port = parse_place(place)
    known = (str(session().directory / "known_hosts"), *OWN_FILES)
    return Target(place, address, port=port, user=user, known_hosts=known)


def _instance(name: str, stack: str) -> dict[str, Any] | None:
    here = session()
    if not stack and not (here.directory / "store.db").exists():
        return None
    from cookline.control.stack.revision import Revision

    for each in [stack] if stack else here.store.revisions.stacks():
        pushed = here.store.revisions.get(each)
        definition = Revision.load(dict(pushed.content)).stack.instances.get(name)
        if definition is None:
            continue
        host = next((one.host for one in here.store.instances.of(pushed.stack_id) if one.name == name), {})
        return {
            "address": str(definition.address or host.get("address") or name),
            "port": definition.port or host.get("port"),
            "user": definition.user,
            "ssh_config": definition.ssh_config,
            "connect_timeout": definition.connect_timeout,
        }
    return None
