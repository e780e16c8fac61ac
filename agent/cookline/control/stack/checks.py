"""What one part of a stack says of another: layers, recipes, sources and attributes that are not there.

The checks read the plain data, so that a mistake elsewhere in the file hides nothing; values of the wrong type are skipped, as
the models tell them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.cookbooks import Cookbook, closure, recipe_problem
from cookline.control.stack.document import Document
from cookline.control.stack.events import LIFECYCLE_EVENTS
from cookline.control.stack.problems import Where, raise_problems
from cookline.errors import CookbookError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.definition import Definition
    from cookline.control.stack.metadata import AttributeType


def _mapping(data: Any, *path: str) -> dict[str, Any]:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _texts(value: Any) -> Iterator[tuple[int, str]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield index, item


def check_references(document: Document, directory: Path) -> None:
    """Layers that instances and apps name, addresses that stand twice, local sources."""
    layers = _mapping(document.data, "layers")
    for section in ("instances", "apps"):
        for name, item in _mapping(document.data, section).items():
            seen: set[str] = set()
            for index, layer in _texts(_mapping(item).get("layers")):
                where = (section, name, "layers", index)
                if layer not in layers and isinstance(document.data.get("layers", {}), dict):
                    near = did_you_mean(layer, layers) or (
                        f"; layers are {', '.join(layers)}" if layers else "; the stack has none"
                    )
                    document.problem(where, f"there is no layer {layer!r}{near}")
                elif layer in seen:
                    document.problem(where, f"the layer {layer!r} stands twice")
                seen.add(layer)
    _check_addresses(document)
    _check_reports(document)
    _check_drains(document)
    for name, app in _mapping(document.data, "apps").items():
        source = _mapping(app, "source")
        path = source.get("path")
        if source.get("type", "local") == "local" and isinstance(path, str):
            _check_source(document, ("apps", name, "source", "path"), directory, path)


def _check_drains(document: Document) -> None:
    """The layers that are told first are there."""
    layers = _mapping(document.data, "layers")
    for name, item in layers.items():
        for index, layer in _texts(_mapping(item, "drain").get("layers")):
            if layer not in layers:
                near = did_you_mean(layer, layers)
                document.problem(("layers", name, "drain", "layers", index), f"there is no layer {layer[:60]!r}{near}")


def _check_addresses(document: Document) -> None:
    first: dict[tuple[str, Any], str] = {}
    for name, item in _mapping(document.data, "instances").items():
        host = _mapping(item)
        address = host.get("address")
        if not isinstance(address, str) or host.get("transport", "ssh") != "ssh":
            continue
        port = host.get("port")
        other = first.setdefault((address, port if isinstance(port, int) else None), name)
        if other != name:
            document.problem(("instances", name, "address"), f"{address!r} is already the address of instance {other!r}")


def _check_reports(document: Document) -> None:
    """`report: https` needs to know where to."""
    if _mapping(document.data, "metrics").get("endpoint") is not None:
        return
    for name, item in _mapping(document.data, "instances").items():
        if _mapping(item).get("report") == "https":
            document.problem(("instances", name, "report"), "`report: https` needs an `endpoint` in `metrics`")


def _check_source(document: Document, where: Where, directory: Path, path: str) -> None:
    try:
        folder = directory / Path(path).expanduser()
        if not folder.is_dir():
            near = did_you_mean(folder.name, (each.name for each in folder.parent.iterdir()) if folder.parent.is_dir() else ())
            document.problem(where, f"the folder {path!r} is not there{near}")
    except (OSError, ValueError, RuntimeError) as error:
        document.problem(where, f"the folder {path[:60]!r} cannot be read: {error}")


def check_recipes(document: Document, cookbooks: Mapping[str, Cookbook], unreadable: set[str]) -> None:
    """Every recipe of every layer is a file of a cookbook on the search path."""
    from cookline.control.stack.values import RECIPE

    for name, layer in _mapping(document.data, "layers").items():
        for event in LIFECYCLE_EVENTS:
            for index, address in _texts(_mapping(layer, "recipes").get(event)):
                problem = recipe_problem(address, cookbooks, unreadable) if RECIPE.fullmatch(address) else None
                if problem:
                    document.problem(("layers", name, "recipes", event, index), problem)


def check_attributes(document: Document, cookbooks: Mapping[str, Cookbook], unreadable: set[str]) -> None:
    """Attributes of each level: known names, of the declared types."""
    data = document.data
    apps = set(_mapping(data, "apps"))
    check_level(document, ("attributes",), _mapping(data, "attributes"), cookbooks, apps, unreadable)
    for section in ("layers", "instances", "apps"):
        for name in _mapping(data, section):
            values = _mapping(data, section, name, "attributes")
            check_level(document, (section, name, "attributes"), values, cookbooks, apps, unreadable)


def check_level(
    document: Document,
    where: Where,
    values: Mapping[str, Any],
    cookbooks: Mapping[str, Cookbook],
    apps: set[str],
    unreadable: set[str],
) -> None:
    """One level's {cookbook or app: {attribute: value}}."""
    for namespace, attributes in values.items():
        here = (*where, namespace)
        if namespace in unreadable:
            continue
        if namespace not in cookbooks and namespace not in apps:
            near = did_you_mean(namespace, [*cookbooks, *apps])
            document.problem(
                here, f"attributes belong to a cookbook or an app, and {namespace[:60]!r} is neither{near}", key=True
            )
        elif not isinstance(attributes, dict):
            document.problem(here, f"the attributes of {namespace!r} are a mapping of names to values")
        elif namespace in cookbooks and cookbooks[namespace].attributes:
            _check_values(document, here, attributes, cookbooks[namespace], "", namespace in apps)


def _check_values(
    document: Document, where: Where, values: Mapping[str, Any], cookbook: Cookbook, inside: str, lenient: bool
) -> None:
    from cookline.control.stack.metadata import type_problem

    declared: Mapping[str, AttributeType] = cookbook.attributes
    for key, value in values.items():
        name, here = f"{inside}{key}", (*where, key)
        if name in declared:
            problem = type_problem(declared[name], value)
            if problem:
                document.problem(here, f"attribute {cookbook.name}.{name} {problem}")
        elif any(other.startswith(f"{name}.") for other in declared):
            if isinstance(value, dict):
                _check_values(document, here, value, cookbook, f"{name}.", lenient)
            else:
                document.problem(here, f"attribute {cookbook.name}.{name} is a mapping")
        elif not lenient and not any(name.startswith(f"{other}.") for other in declared):
            near = did_you_mean(name, declared) or f"; it has {', '.join(declared)}"
            document.problem(here, f"cookbook {cookbook.name!r} has no attribute {name[:60]!r}{near}", key=True)


def check_event_attributes(definition: Definition, attributes: Mapping[str, Any], source: str) -> None:
    """Attributes that a command gives for one event. Raises StackError; `source` says where they stand."""
    document = Document(source, [], data=dict(attributes), excerpts=False)
    check_level(document, (), attributes, definition.cookbooks, set(definition.stack.apps), set())
    raise_problems(document.problems)


def check_required(document: Document, definition: Definition) -> None:
    """Required attributes that no level gives to an instance whose recipes are of the cookbook."""
    from cookline.control.stack.attributes import merged_attributes

    lacking: dict[tuple[str, str], list[str]] = {}
    for instance in definition.stack.instances:
        needed = _cookbooks_of(definition, instance)
        asked = [
            (book, name) for book in needed for name, kind in definition.cookbooks[book].attributes.items() if kind.required
        ]
        merged = merged_attributes(definition, instance) if asked else {}
        for book, name in asked:
            value: Any = merged.get(book)
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                lacking.setdefault((book, name), []).append(instance)
    for (book, name), instances in lacking.items():
        others = f" (and {len(instances) - 1} more)" if len(instances) > 1 else ""
        stands = definition.cookbooks[book].positions.get(name)
        sentence = f"{instances[0]!r}{others} needs the attribute {book}.{name}, which {stands} requires"
        document.problem(("instances", instances[0]), sentence, key=True)


def _cookbooks_of(definition: Definition, instance: str) -> list[str]:
    stack = definition.stack
    recipes = [
        recipe
        for layer in stack.instances[instance].layers
        for event in LIFECYCLE_EVENTS
        for recipe in getattr(stack.layers[layer].recipes, event)
    ]
    try:
        return closure(definition.cookbooks, [recipe.partition("::")[0] for recipe in recipes])
    except CookbookError:  # told as a problem of that cookbook
        return []
