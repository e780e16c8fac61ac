"""Before-images: for each resource that a run changes, the resource that puts back what was there, kept in the run's directory.

before/000012.json   {"name", "line", "inverse": {"module", "kind", "fields"} or null, "why": why there is none}
"""

from __future__ import annotations

import base64
import importlib
import json
import os
from typing import Any, Callable, Dict, List, Mapping, Tuple

from cookline.errors import CooklineError, HostStateError
from cookline.host import paths
from cookline.host.resources.base import Changes, Resource
from cookline.host.run import journal
from cookline.host.run.node import Node
from cookline.host.system import System

DIRECTORY = "before"
BYTES = "cookline bytes"  # key of a content in JSON


def keep(directory: str, index: int, name: str, resource: Resource, host: System, changes: Changes) -> bool:
    """Keep how to undo what is about to be changed; whether it can be undone."""
    inverse, why = None, f"{type(resource).__name__} cannot be undone"
    try:
        inverse = resource.inverse(host, changes)
    except CooklineError as error:
        why = error.message
    entry: Dict[str, Any] = {"name": name, "why": None if inverse else why}
    entry["inverse"] = None if inverse is None else _written(inverse)
    os.makedirs(f"{directory}/{DIRECTORY}", mode=0o700, exist_ok=True)
    paths.write_private(f"{directory}/{DIRECTORY}/{index:06d}.json", json.dumps(entry).encode())
    return inverse is not None


def recipe(run: str) -> Callable[[Node], None]:
    """A recipe that undoes a run: the last change first. What cannot be undone is said before anything is done.

    Raises HostStateError when the host does not know the run any more.
    """
    directory = journal.find_run(os.path.basename(run))
    if directory is None:
        raise HostStateError(
            f"this host has no run {run} to undo", hint=f"it keeps the last {journal.RUNS_KEPT}; `cookline runs` lists them"
        )
    entries = _entries(directory)

    def undo(node: Node) -> None:
        for entry in entries:
            if entry["inverse"] is None:
                node.log(f"not undone: {entry['name']} ({entry['why']})", "warning")
        for entry in entries:
            if entry["inverse"] is not None:
                node.ensure(_read(entry["inverse"]))

    return undo


def _entries(directory: str) -> List[Dict[str, Any]]:
    """The before-images of a run, newest first."""
    folder = f"{directory}/{DIRECTORY}"
    names = sorted(os.listdir(folder), reverse=True) if os.path.isdir(folder) else []
    found = []
    for name in names:
        with open(f"{folder}/{name}", "rb") as file:
            found.append(json.load(file))
    return found


def _written(resource: Resource) -> Dict[str, Any]:
    fields = {name: _plain(getattr(resource, name)) for name in resource.__dataclass_fields__}
    given = {name: value for name, value in fields.items() if value != _plain(_default(resource, name))}
    return {"module": type(resource).__module__, "kind": type(resource).__name__, "fields": given}


def _default(resource: Resource, name: str) -> Any:
    return resource.__dataclass_fields__[name].default


def _plain(value: Any) -> Any:
    return {BYTES: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _read(written: Mapping[str, Any]) -> Resource:
    kind = getattr(importlib.import_module(written["module"]), written["kind"])
    resource = kind(**dict(map(_field, written["fields"].items())))
    assert isinstance(resource, Resource)
    return resource


def _field(item: Tuple[str, Any]) -> Tuple[str, Any]:
    name, value = item
    return name, base64.b64decode(value[BYTES]) if isinstance(value, dict) and BYTES in value else value
