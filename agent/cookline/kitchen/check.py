"""Every recipe of every layer of a stack on a fake host: what a run would stumble over is found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookline.control.stack.attributes import merged_attributes
from cookline.control.stack.events import LIFECYCLE_EVENTS
from cookline.control.stack.models import Instance
from cookline.control.stack.revision import Revision, frozen, unfetched
from cookline.control.stack.run_list import apps_of, run_list
from cookline.control.stack.secrets import SecretReference
from cookline.errors import CooklineError
from cookline.kitchen.fake.converge import FakeHost
from cookline.kitchen.working_tree import mock_snapshot
from cookline.protocol import RunRequest


@dataclass
class Found:
    """One thing that is wrong: the sentence with the author's own lines, and where it was met first."""

    error: str
    places: list[str] = field(default_factory=list)


@dataclass
class CheckReport:
    """What was run and what was found; `ran` counts resources by (layer, event)."""

    stack: str
    ran: dict[tuple[str, str], int] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)

    def note(self, error: str, place: str) -> None:
        found = self.found.setdefault(error, Found(error))
        if place not in found.places:
            found.places.append(place)


def check_stack(path: Path, platforms: Sequence[str]) -> CheckReport:
    """Run setup, configure, deploy, undeploy and shutdown of each layer, in this order, on one fake host a platform.

    Secrets are not resolved: recipes get a text in their place. Raises StackError for a definition that is wrong by itself.
    """
    from cookline.control.stack.loading import load_stack

    revision = _with_each_layer(frozen(load_stack(path), unfetched))
    report = CheckReport(revision.stack.name)
    folders = {name: book.folder for name, book in revision.cookbooks.items() if book.folder is not None}
    for platform in platforms:
        for instance, definition in revision.stack.instances.items():
            host = FakeHost(platform)
            for event in LIFECYCLE_EVENTS:
                place = f"{', '.join(definition.layers)} on {platform}, {event}"
                recipes = run_list(revision.stack, instance, event)
                count = _check_event(revision, instance, event, recipes, host, folders, report, place)
                for layer in definition.layers:
                    report.ran[layer, event] = max(count, report.ran.get((layer, event), 0))
    return report


def _check_event(
    revision: Revision,
    instance: str,
    event: str,
    recipes: Sequence[str],
    host: FakeHost,
    folders: Mapping[str, Path],
    report: CheckReport,
    place: str,
) -> int:
    if not recipes:
        return 0
    apps = apps_of(revision.stack, instance)
    mock: dict[str, Any] = {"layers": {}, "instances": [], "apps": {}}
    own = str(host.facts.read("addresses")[0])
    request = RunRequest(
        run="check",
        instance=instance,
        instance_id=instance,
        stack=revision.stack.name,
        event=event,
        recipes=list(recipes),
        attributes=_without_secrets(merged_attributes(revision, instance)),
        snapshot=_without_secrets(mock_snapshot(revision, instance, own, mock, event=event)),
        app=apps[0] if len(apps) == 1 and event in ("deploy", "undeploy") else None,
    )
    try:
        done = host.run(request, folders, lenient=True)
    except CooklineError as error:
        report.note(str(error), place)
        return 0
    for failure in done.failures:
        report.note(failure, place)
    return len(done.resources) + len(done.failures)


def _with_each_layer(revision: Revision) -> Revision:
    """Of instances with the same layers and attributes one is enough; a layer without instances gets one."""
    stack = revision.stack
    chosen: dict[Any, tuple[str, Instance]] = {}
    for name, host in stack.instances.items():
        chosen.setdefault((host.layers, repr(host.attributes)), (name, host))
    instances = dict(chosen.values())
    served = {layer for host in instances.values() for layer in host.layers}
    for layer in stack.layers:
        if layer not in served:
            instances[f"{layer.replace('_', '-').replace('.', '-')}-1"] = Instance(layers=(layer,), address="localhost")
    reduced = stack.model_copy(update={"instances": instances})
    return Revision(
        stack=reduced,
        cookbooks=revision.cookbooks,
        directory=revision.directory,
        file=revision.file,
        trees=revision.trees,
        manifests=revision.manifests,
    )


def _without_secrets(value: Any) -> Any:
    if isinstance(value, SecretReference):
        return f"the secret {value}"
    if isinstance(value, Mapping):
        return {name: _without_secrets(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(item) for item in value]
    return value
