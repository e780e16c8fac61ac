"""Where an instance is and how it is reached: providers asked, keys pinned, targets built."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.providers.base import Host, HostRequest, Progress, Provider
from cookline.control.transport.base import Target
from cookline.errors import CooklineError, RunError

if TYPE_CHECKING:
    from cookline.control.stack.models import Instance as Definition
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store

OpenProvider = Callable[[str, Path], Provider]


class Hosts:
    """The providers of one cookline directory, opened when first asked for."""

    def __init__(self, store: Store, open_provider: OpenProvider | None = None) -> None:
        self._store = store
        self._open_provider = open_provider or _registered
        self._providers: dict[str, Provider] = {}
        self._lock = threading.Lock()
        self.known_hosts = store.directory / "known_hosts"

    def provider(self, name: str) -> Provider:
        with self._lock:
            if name not in self._providers:
                self._providers[name] = self._open_provider(name, self._store.directory)
            return self._providers[name]

    def power_on(self, revision: Revision, instances: Iterable[Instance], progress: Progress) -> dict[str, CooklineError]:
        """Bring hosts up, those of one provider together, and remember where they are. Returns instance name to error."""
        errors: dict[str, CooklineError] = {}
        for name, group in _by_provider(instances).items():
            wanted = [_request(revision, instance.name) for instance in group]
            hosts, failed = _each_or_all(self.provider(name), wanted, progress)
            errors |= failed
            for instance in group:
                if instance.name in hosts:
                    self._remember(instance, hosts[instance.name])
        return errors

    def power_off(self, instances: Iterable[Instance], progress: Progress) -> dict[str, CooklineError]:
        """Stop hosts. Returns instance name to error."""
        return self._power(instances, lambda provider, names: provider.stop(names, progress))

    def reboot(self, instances: Iterable[Instance], progress: Progress) -> dict[str, CooklineError]:
        """Reboot hosts; returns when they answer again: instance name to error."""
        return self._power(instances, lambda provider, names: provider.reboot(names, progress))

    def _power(self, instances: Iterable[Instance], act: Callable[[Provider, list[str]], None]) -> dict[str, CooklineError]:
        errors: dict[str, CooklineError] = {}
        for name, group in _by_provider(instances).items():
            for instance in group:
                try:
                    act(self.provider(name), [instance.name])
                except CooklineError as error:
                    errors[instance.name] = error
        return errors

    def target(self, revision: Revision, instance: Instance) -> Target:
        """How the instance is reached. Raises RunError for a host that has no address (yet)."""
        definition = revision.stack.instances[instance.name]
        if not instance.host and definition.transport == "ssh":
            [host] = self.provider(instance.provider).status([_request(revision, instance.name)])
            if host.state != "running" or not host.address:
                raise RunError(f"{instance.name} is {host.state}", hint=f"`cookline start {instance.name}` brings it up")
            instance = self._remember(instance, host)
        return _target(revision, definition, instance, self.known_hosts)

    def _remember(self, instance: Instance, host: Host) -> Instance:
        if host.known_host and host.address:
            self._pin(host)
        self._store.instances.record(instance.id, host=asdict(host))
        return self._store.instances.get(instance.id)

    def _pin(self, host: Host) -> None:
        """The provider made the host and knows its key for certain."""
        from cookline.control.transport.ssh.known_hosts import HostKey, host_name, lookup, pin

        assert host.address and host.known_host
        kind, blob = host.known_host.split()[:2]
        name = host_name(host.address, host.port)
        with self._lock:
            if not any((key.kind, key.blob) == (kind, blob) for key in lookup([str(self.known_hosts)], name)):
                pin(str(self.known_hosts), name, [HostKey(kind, blob)])


def _registered(name: str, directory: Path) -> Provider:
    from cookline.control.providers.registry import open_provider

    return open_provider(name, directory)


def _by_provider(instances: Iterable[Instance]) -> Mapping[str, list[Instance]]:
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        groups.setdefault(instance.provider, []).append(instance)
    return groups


def _each_or_all(
    provider: Provider, wanted: list[HostRequest], progress: Progress
) -> tuple[dict[str, Host], dict[str, CooklineError]]:
    """All at once; when that fails, one by one, so that the one bad host does not keep the others down."""
    try:
        return {host.name: host for host in provider.create(wanted, progress)}, {}
    except CooklineError as error:
        if len(wanted) == 1:
            return {}, {wanted[0].name: error}
    hosts: dict[str, Host] = {}
    errors: dict[str, CooklineError] = {}
    for request in wanted:
        some, failed = _each_or_all(provider, [request], progress)
        hosts |= some
        errors |= failed
    return hosts, errors


def _request(revision: Revision, name: str) -> HostRequest:
    definition = revision.stack.instances[name]
    settings: dict[str, Any] = dict(definition.settings)
    if definition.provider == "static":
        settings |= {"address": definition.address or "localhost", "port": definition.port, "user": definition.user}
        settings |= {"identity_file": definition.identity_file}
    return HostRequest(name, settings)


def _target(revision: Revision, definition: Definition, instance: Instance, known_hosts: Path) -> Target:
    """What the definition says wins; what it leaves open is the provider's, and for a described host ~/.ssh/config's."""
    host = instance.host if definition.provider != "static" else {}
    identity = str(revision.path(definition.identity_file)) if definition.identity_file else host.get("identity_file")
    files = [str(known_hosts), *_own_known_hosts()]
    return Target(
        instance=instance.name,
        address=str(definition.address or instance.host.get("address") or "localhost"),
        port=definition.port or host.get("port"),
        user=definition.user or host.get("user"),
        become=definition.become,
        bootstrap=definition.bootstrap,
        python=definition.python,
        identity_file=identity,
        ssh_config=str(revision.path(definition.ssh_config)) if definition.ssh_config else None,
        known_hosts=tuple(files),
        connect_timeout=definition.connect_timeout,
        transport=definition.transport,
        options=definition.settings if definition.transport == "dummy" else {},
    )


def _own_known_hosts() -> list[str]:
    """What the operator trusts already, as ssh would."""
    return [str(Path("~/.ssh/known_hosts").expanduser()), "/etc/ssh/ssh_known_hosts"]
