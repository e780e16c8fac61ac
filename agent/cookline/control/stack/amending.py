"""Revisions made of other ones: with one instance more or less, or under another name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cookline.control.stack.secrets import from_plain
from cookline.errors import SelectorError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.models import Instance, Stack
    from cookline.control.stack.revision import Revision


def with_instance(revision: Revision, name: str, fields: Mapping[str, Any]) -> Revision:
    """The revision with one instance more. Raises UsageError for a name or address that is taken, SelectorError for layers."""
    from cookline.control.stack.models import Instance

    stack = revision.stack
    for layer in fields["layers"]:
        if layer not in stack.layers:
            raise SelectorError(f"stack {stack.name} has no layer {layer!r}{did_you_mean(layer, stack.layers)}")
    if name in stack.instances:
        raise UsageError(f"stack {stack.name} has an instance {name!r} already", hint="--name gives the new one another name")
    instance: Instance = _checked(Instance, fields, name)
    for other, each in stack.instances.items():
        if each.address is not None and (each.address, each.port) == (instance.address, instance.port):
            raise UsageError(f"{each.address} is instance {other!r} of stack {stack.name} already")
    return _with(revision, instances={**stack.plain()["instances"], name: instance.plain()})


def without_instance(revision: Revision, name: str) -> Revision:
    instances = {each: host for each, host in revision.stack.plain()["instances"].items() if each != name}
    return _with(revision, instances=instances)


def clone_of(revision: Revision, name: str, *, apps: bool = True) -> Revision:
    """The settings, layers, attributes and (with `apps`) apps of a stack under another name; no instances (features O104)."""
    cloned = _with(revision, stack=name, instances={}, **({} if apps else {"apps": {}}))
    trees = {key: tree for key, tree in revision.trees.items() if apps or not key.startswith("app:")}
    manifests = {tree: revision.manifests[tree] for tree in trees.values()}
    kept = set(cloned.stack.apps)
    positions = {
        where: place
        for where, place in revision.positions.items()
        if where[0] != "instances" and (where[0] != "apps" or where[1] in kept)
    }
    sources = {app: stood for app, stood in revision.sources.items() if app in kept}
    return replace(cloned, trees=trees, manifests=manifests, positions=positions, sources=sources)


def _with(revision: Revision, **values: Any) -> Revision:
    from cookline.control.stack.models import Stack

    stack: Stack = _checked(Stack, {**revision.stack.plain(), **values}, values.get("stack", revision.stack.name))
    return replace(revision, stack=stack)


def _checked(model: Any, fields: Mapping[str, Any], name: str) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(from_plain(dict(fields)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise UsageError(f"{name}: {where} {first['msg']}".replace("  ", " ")) from None
