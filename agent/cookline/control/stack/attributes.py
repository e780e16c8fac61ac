"""Attribute levels, low to high: cookbook default, stack, layer (in the instance's order), instance, app, event.

Mappings merge, lists and other values replace. Secrets stay references here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookline.control.stack.problems import Position, Where
from cookline.control.stack.run_list import apps_of, instance_named
from cookline.control.stack.secrets import SecretReference
from cookline.errors import SelectorError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.definition import Definition

LEVELS = ("cookbook default", "stack", "layer", "instance", "app", "event")

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """One source of attributes; `where` is its path in the stack file, None for those that stand elsewhere."""

    level: str
    name: str
    values: Mapping[str, Any]
    where: Where | None = None


@dataclass(frozen=True)
class Candidate:
    """What one level says: level and its name ("layer", "app"), value as shown (secrets as references), "file:line:col"."""

    level: str
    name: str
    value: Any
    position: str

    def __str__(self) -> str:
        return f"{self.value!r} from {self.level} {self.name}".rstrip() + (f", {self.position}" if self.position else "")


@dataclass(frozen=True)
class Explanation:
    """Who decided an attribute. `losers` are all other levels that say something, the strongest first.

    For a mapping the levels have merged: `value` is the whole, the winner is the highest that added to it.
    """

    path: str
    instance: str
    value: Any
    winner: Candidate
    losers: tuple[Candidate, ...]


def merge(low: Any, high: Any) -> Any:
    """`high` over `low`: mappings merge, everything else replaces. Neither is changed."""
    if isinstance(low, Mapping) and isinstance(high, Mapping):
        merged = {key: merge(value, high[key]) if key in high else _copied(value) for key, value in low.items()}
        return {**merged, **{key: _copied(value) for key, value in high.items() if key not in low}}
    return _copied(high)


def _copied(value: Any) -> Any:
    """Nobody who changes merged attributes shall change the definition."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value


def levels(
    definition: Definition, instance: str, *, app: str | None = None, event_attributes: Mapping[str, Any] | None = None
) -> list[Level]:
    """Every source of the instance's attributes, low to high. Of several apps of the instance the deployed one counts last."""
    stack = definition.stack
    host = instance_named(stack, instance)
    found = [
        Level("cookbook default", name, {name: defaults})
        for name, cookbook in definition.cookbooks.items()
        if (defaults := cookbook.defaults())
    ]
    found.append(Level("stack", stack.name, stack.attributes, ("attributes",)))
    found += [Level("layer", name, stack.layers[name].attributes, ("layers", name, "attributes")) for name in host.layers]
    found.append(Level("instance", instance, host.attributes, ("instances", instance, "attributes")))
    apps = sorted(
        {*apps_of(stack, instance), *([app] if app else [])}, key=lambda each: (each == app, list(stack.apps).index(each))
    )
    found += [Level("app", name, stack.apps[name].attributes, ("apps", name, "attributes")) for name in apps]
    found.append(Level("event", "", event_attributes or {}))
    return found


def merged_attributes(
    definition: Definition, instance: str, *, app: str | None = None, event_attributes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The attributes of a run on `instance`, by cookbook or app name; secrets are references (see secrets.Resolver)."""
    merged: dict[str, Any] = {}
    for level in levels(definition, instance, app=app, event_attributes=event_attributes):
        merged = merge(merged, level.values)
    return merged


def explain(
    definition: Definition,
    path: str,
    instance: str,
    *,
    app: str | None = None,
    event_attributes: Mapping[str, Any] | None = None,
) -> Explanation:
    """Who decides `path` ("shop.port") on `instance`, and which it overrules. Raises SelectorError for an unknown path."""
    sources = levels(definition, instance, app=app, event_attributes=event_attributes)
    merged: Any = {}
    for level in sources:
        merged = merge(merged, level.values)
    keys = _keys(merged, path, instance)
    candidates = [
        Candidate(level.level, level.name, shown_value(value), _position(definition, level, keys))
        for level in reversed(sources)
        for value in _said(level.values, keys)
    ]
    value = next(_said(merged, keys))
    return Explanation(path, instance, shown_value(value), candidates[0], tuple(candidates[1:]))


def shown_value(value: Any) -> Any:
    """`value` for people's eyes: a reference as its own text, which says where the secret is and not what."""
    if isinstance(value, SecretReference):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: shown_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_value(item) for item in value]
    return value


def _said(values: Any, keys: Keys) -> Iterator[Any]:
    """The value at `keys`, once, or nothing. A text that stands in the way of the path, in place of a mapping, counts too."""
    for key in keys:
        if not isinstance(values, Mapping):
            break
        if key not in values:
            return
        values = values[key]
    yield values


def _keys(merged: Mapping[str, Any], path: str, instance: str) -> Keys:
    """The keys that a dotted path means; a key may itself hold dots ("files.nginx.conf")."""
    keys: list[str] = []
    values: Any = merged
    parts = path.split(".")
    while parts:
        known = values if isinstance(values, Mapping) else {}
        length = next((n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in known), None)
        if length is None:
            inside = f"{'.'.join(keys)!r} of " if keys else ""
            hint = f"known are {', '.join(sorted(known))}" if known else None
            raise SelectorError(f"{inside}{instance!r} has no attribute {parts[0]!r}{did_you_mean(parts[0], known)}", hint=hint)
        keys.append(".".join(parts[:length]))
        values, parts = known[keys[-1]], parts[length:]
    return tuple(keys)


def _position(definition: Definition, level: Level, keys: Keys) -> str:
    if level.where is not None:
        return str(definition.position((*level.where, *keys)))
    if level.level == "cookbook default":
        positions: Mapping[str, Position] = definition.cookbooks[level.name].positions
        dotted = ".".join(keys[1:])
        around = [name for name in positions if f"{dotted}.".startswith(f"{name}.")]
        inside = [name for name in positions if not dotted or name.startswith(f"{dotted}.")]
        return str(positions[(around + inside)[0]]) if around or inside else ""
    return ""
