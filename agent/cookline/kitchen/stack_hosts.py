"""The hosts of a pushed stack, as tests see them: by name in an ssh configuration, with what the store knows of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cookline.control.lifecycle.hosts import Hosts
from cookline.control.lifecycle.requests import Revisions
from cookline.control.providers.base import Host
from cookline.control.stack.revision import Revision
from cookline.control.stack.selectors import select
from cookline.control.stack.snapshot import Standing, snapshot
from cookline.control.store.instances import Instance
from cookline.control.store.store import Store
from cookline.control.transport.base import Target
from cookline.errors import SelectorError, UsageError
from cookline.kitchen.hosts import ssh_config, write
from cookline.kitchen.verify import described


def name_of(stack: str) -> str:
    """The stack's name: `stack` itself, or what the file of this name says. Raises StackError."""
    if not stack.endswith((".yml", ".yaml", ".json")) and "/" not in stack:
        return stack
    from cookline.control.stack.loading import load_stack

    return load_stack(stack).stack.name


def snapshot_of(
    revision: Revision, instances: list[Instance], stack_id: str, *, store: str = "", number: int = 0
) -> dict[str, Any]:
    """The stack as the store knows it now; secrets are references."""
    standings = {each.name: Standing(each.id, each.address, each.address, each.state) for each in instances}
    return snapshot(revision, store=store, number=number, stack_id=stack_id, instances=standings)


def snapshot_of_stack(directory: Path, stack: str) -> dict[str, Any]:
    """The newest revision of a pushed stack with its hosts as they stand, without the values of apps' environments."""
    with opened(directory) as store:
        pushed = store.revisions.get(name_of(stack))
        revision = Revisions(store).get(pushed.stack, pushed.number)
        return without_values(snapshot_of(revision, store.instances.of(pushed.stack_id), pushed.stack_id))


def without_values(told: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot with the names of apps' variables alone: values may be secrets."""
    apps = {name: {**app, "environment": dict.fromkeys(app.get("environment", {}))} for name, app in told["apps"].items()}
    return {**told, "apps": apps}


def open_store(directory: Path) -> Store:
    """The store of a project where something was pushed. Raises UsageError where there is none."""
    if not (directory / "store.db").is_file():
        raise UsageError(f"there is no store in {directory}", hint="push here first, or do it where you push from")
    return Store(directory)


@contextmanager
def opened(directory: Path) -> Iterator[Store]:
    """The store of a project, as `open_store` has it, for a while."""
    store = open_store(directory)
    try:
        yield store
    finally:
        store.close()


def hosts_of_stack(directory: Path, stack: str, *, on: str | None = None, layer: str | None = None) -> dict[str, Any]:
    """What the pytest plugin is told (see verify.described) of the chosen hosts that are online.

    Raises StackError, SelectorError for names that nothing has, UsageError when none of them is online.
    """
    with opened(directory) as store:
        pushed = store.revisions.get(name_of(stack))
        revision = Revisions(store).get(pushed.stack, pushed.number)
        instances = store.instances.of(pushed.stack_id)
        chosen = _chosen(revision, instances, on, layer)
        online = [each for each in instances if each.name in chosen and each.state == "online"]
        if not online:
            raise UsageError(f"none of {', '.join(sorted(chosen))} is online", hint=f"cookline status {pushed.stack}")
        hosts = Hosts(store)
        targets = [hosts.target(revision, each) for each in online]
        shown = without_values(snapshot_of(revision, instances, pushed.stack_id))
        return described_targets(directory, targets, pushed.stack, shown)


def described_targets(directory: Path, targets: list[Target], stack: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """verify.described for hosts of a stack; writes their ssh configuration."""
    path = write_ssh_config(directory, targets)
    known = {each["name"]: each for each in shown["instances"]}
    about = {each.instance: {**known[each.instance], "user": each.user or "root"} for each in targets}
    return described(about, ssh_config=path, stack=stack, snapshot=shown)


def _chosen(revision: Revision, instances: list[Instance], on: str | None, layer: str | None) -> set[str]:
    states = {each.name: each.state for each in instances}
    named = [set(select(revision.stack, each, states)) for each in (on, f"layer:{layer}" if layer else None) if each]
    chosen = set.intersection(*named) if named else set(states)
    if not chosen:
        raise SelectorError(f"no instance of {revision.stack.name} is both {on} and in the layer {layer}")
    return chosen


def write_ssh_config(directory: Path, targets: list[Target]) -> Path:
    """.cookline/kitchen/stack_ssh_config with a Host for each target. Returns its path."""
    folder = directory / "kitchen"
    folder.mkdir(mode=0o700, exist_ok=True)
    hosts = [
        Host(each.instance, "running", each.address, each.port or 22, each.user or "root", each.identity_file)
        for each in targets
    ]
    files = list(dict.fromkeys(Path(name) for each in targets for name in each.known_hosts))
    write(folder / "stack_ssh_config", ssh_config(hosts, files))
    return folder / "stack_ssh_config"
