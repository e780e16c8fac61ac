"""The kitchen's hosts: made by a provider, and written down for ssh in .cookline/kitchen/ssh_config."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cookline.control.providers.base import Host, HostRequest, Provider
from cookline.control.providers.container.requirements import is_root
from cookline.control.providers.registry import open_provider
from cookline.control.transport.base import Target
from cookline.errors import CooklineError, RunError, UsageError, did_you_mean
from cookline.kitchen.record import Record, Records

FAULTS = ("partition", "heal", "freeze", "thaw", "power-cut", "boot", "reboot")

Say = Callable[[str], None]
# What is said of a host between the first step of its making and the last.
UNFINISHED = "it was not made to the end"


class Hosts:
    """Hosts of one project's kitchen. Their providers keep their records below .cookline/kitchen, apart from stacks."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.directory = records.directory
        self.ssh_config = self.directory / "ssh_config"
        self.known_hosts = self.directory / "known_hosts"
        # those of providers that make hosts, what `cookline trust` has pinned, and what the operator trusts already
        self.trusted = (self.known_hosts, self.directory.parent / "known_hosts", Path("~/.ssh/known_hosts").expanduser())
        self._providers: dict[str, Provider] = {}
        self._lock = threading.Lock()

    def provider(self, name: str) -> Provider:
        with self._lock:
            if name not in self._providers:
                self._providers[name] = open_provider(name, self.directory, self.directory.parent.parent)
            return self._providers[name]

    def create(self, wanted: Iterable[tuple[str, str, Mapping[str, Any]]], say: Say) -> None:
        """Bring up hosts, given as (name, provider, settings), those of one provider together."""
        groups: dict[str, list[HostRequest]] = {}
        for name, provider, settings in wanted:
            groups.setdefault(provider, []).append(HostRequest(name, settings))
            if not self.records.has(name):
                # before anything is made: a process that is killed on the way leaves nothing that nobody knows of
                self.records.save(Record(name, provider=provider, settings=settings, error=UNFINISHED))
        for provider, requests in groups.items():
            for host in self._made(provider, requests, say):
                record = self.records.get(host.name)
                state = "created" if record.state == "absent" else record.state
                self.records.save(replace(record, state=state, host=asdict(host), error=None, exit_code=0))
        self.write_ssh_config()

    def _made(self, provider: str, requests: Sequence[HostRequest], say: Say) -> list[Host]:
        try:
            return self.provider(provider).create(requests, say)
        except CooklineError:
            with contextlib.suppress(CooklineError):  # of those that were refused before anything was made nothing is kept
                for host in self.provider(provider).status(requests):
                    if host.state == "absent" and self.records.get(host.name).state == "absent":
                        self.records.forget(host.name)
            raise

    def check(self, name: str, provider: str, settings: Mapping[str, Any]) -> None:
        """Raises UsageError when a host that was made is not what is asked for now."""
        record = self.records.get(name)
        hint = f"cookline kitchen destroy {name}"
        if self.records.has(name) and record.provider != provider:
            raise UsageError(f"{name} was made by the provider {record.provider}, not {provider}", hint=hint)
        if record.state != "absent":
            other = sorted(key for key in {*settings, *record.settings} if settings.get(key) != record.settings.get(key))
            if other:
                raise UsageError(f"{name} was made with other settings: {', '.join(other)} changed since", hint=hint)

    def is_running(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether a host that was made still runs: the machine may have been restarted since."""
        provider = self.provider(self.records.get(name).provider)
        return provider.status([HostRequest(name, settings)])[0].state == "running"

    def destroy(self, names: Sequence[str], say: Say) -> None:
        """Nothing is left of them, here and in their provider."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(self.records.get(name).provider, []).append(name)
        if not self.records.all() and is_root():
            groups["container"] = []  # its hosts outlive a directory that somebody has removed
        for provider, group in groups.items():
            self.provider(provider).destroy(group, say)
            for name in group:
                self.records.forget(name)
        self.write_ssh_config()

    def fault(self, word: str, name: str) -> None:
        """Do to a host what happens to hosts in real life. Raises UsageError."""
        if word not in FAULTS:
            raise UsageError(f"there is no fault {word!r}{did_you_mean(word, FAULTS)}", hint=f"faults: {', '.join(FAULTS)}")
        record = self.known(name)
        faults = getattr(self.provider(record.provider), "faults", None)
        if faults is None:
            raise UsageError(f"hosts of the provider {record.provider} have no fault switch", hint="provider: container has")
        getattr(faults(name), word.replace("-", "_"))()

    def known(self, name: str) -> Record:
        """The record of a host that was made. Raises UsageError."""
        record = self.records.get(name)
        if record.state == "absent":
            names = [each.name for each in self.records.all()]
            hint = f"there are {', '.join(names)}" if names else "`cookline kitchen list` shows what can be created"
            raise UsageError(f"the kitchen has no host {name!r}{did_you_mean(name, names)}", hint=hint)
        return record

    def target(self, name: str) -> Target:
        host = self.known(name).host
        if not host.get("address"):
            raise RunError(f"{name} has no address", hint=f"cookline kitchen create {name}")
        return Target(
            instance=name,
            address=str(host["address"]),
            port=host.get("port"),
            user=host.get("user"),
            identity_file=host.get("identity_file"),
            known_hosts=tuple(map(str, self.trusted)),
        )

    def write_ssh_config(self) -> None:
        """One Host for each, so that `ssh -F`, scp and testinfra find them by name."""
        with self._lock:
            hosts = [Host(**record.host) for record in self.records.all() if record.host]
            if not self.directory.is_dir():
                return
            write(self.known_hosts, "".join(f"{known_name(host)} {host.known_host}\n" for host in hosts if host.known_host))
            write(self.ssh_config, ssh_config(hosts, self.trusted))


def known_name(host: Host) -> str:
    return str(host.address) if host.port == 22 else f"[{host.address}]:{host.port}"


def ssh_config(hosts: Iterable[Host], known_hosts: Sequence[Path]) -> str:
    """The text of an OpenSSH configuration with a Host for each of `hosts` that has an address."""
    lines = ["# Written by cookline; made anew with each change."]
    for host in hosts:
        if host.address:
            lines += [f"Host {host.name}", f"  HostName {host.address}", f"  Port {host.port}", f"  User {host.user}"]
            lines += [f'  IdentityFile "{host.identity_file}"', "  IdentitiesOnly yes"] if host.identity_file else []
    files = " ".join(f'"{path}"' for path in known_hosts)
    # OpenSSH's first choice of key exchange costs 0.1 s more on each login
    options = {"UserKnownHostsFile": files, "BatchMode": "yes", "LogLevel": "ERROR", "KexAlgorithms": "^curve25519-sha256"}
    # a host behind a pulled cable is told of in ten seconds, not in two minutes
    options |= {"ConnectTimeout": "10", "ServerAliveInterval": "10"}
    return "\n".join([*lines, "Host *", *(f"  {name} {value}" for name, value in options.items())]) + "\n"


def write(path: Path, text: str) -> None:
    """For its owner alone, whole or not at all."""
    staged = path.with_name(f"{path.name}.{os.getpid()}.new")  # two commands may write it at once
    staged.touch(mode=0o600)
    staged.write_text(text)
    staged.replace(path)
