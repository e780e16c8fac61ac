"""Every recipe of every layer of a stack on a fake host: what a run would stumble over is found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookline.control.stack.attributes import merged_attributes
from cookline.control.stack.cookbooks import closure, split_recipe
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
    # recipes that layers have run, included ones too
    met: set[str] = field(default_factory=set)

    def count(self, layer: str, event: str, resources: int) -> None:
        self.ran[layer, event] = max(resources, self.ran.get((layer, event), 0))

    def note(self, error: str, place: str) -> None:
        found = self.found.setdefault(error, Found(error))
        if place not in found.places:
            found.places.append(place)


def check_stack(path: Path, platforms: Sequence[str]) -> CheckReport:
    """Run setup, configure, deploy, undeploy and shutdown of each layer, in this order, on one fake host a platform.

    The recipes of their cookbooks that were not met so follow, each by itself, as `cookline run` would run them. Secrets are
    not resolved: recipes get a text in their place. Raises StackError for a definition that is wrong by itself.
    """
    from cookline.control.stack.loading import load_stack

    revision = _with_each_layer(frozen(load_stack(path), unfetched))
    report = CheckReport(revision.stack.name)
    for platform in platforms:
        hosts = {instance: FakeHost(platform) for instance in revision.stack.instances}
        for instance, host in hosts.items():
            layers = revision.stack.instances[instance].layers
            for event in LIFECYCLE_EVENTS:
                recipes = run_list(revision.stack, instance, event)
                place = f"{', '.join(layers)} on {platform}, {event}"
                count = _check_event(revision, instance, event, recipes, host, report, place)
                for layer in layers:
                    report.count(layer, event, count)
        for recipe, instance in _left(revision, report):
            place = f"{recipe} on {platform}, which no layer runs"
            count = _check_event(revision, instance, "execute_recipes", [recipe], hosts[instance], report, place)
            report.count(recipe, "run", count)
    return report


def _left(revision: Revision, report: CheckReport) -> list[tuple[str, str]]:
    """(recipe, an instance that uses its cookbook) for each recipe that no layer has run, by itself or through another."""
    users: dict[str, str] = {}
    for name in revision.stack.instances:
        for event in LIFECYCLE_EVENTS:
            for recipe in run_list(revision.stack, name, event):
                users.setdefault(recipe.partition("::")[0], name)
                report.met.add(recipe)
    known = [(f"{book}::{recipe}", user) for book, user in users.items() for recipe in revision.cookbooks[book].recipes]
    return [(recipe, user) for recipe, user in known if recipe not in report.met]


def _check_event(
    revision: Revision,
    instance: str,
    event: str,
    recipes: Sequence[str],
    host: FakeHost,
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
        app=apps[0] if len(apps) == 1 and event in ("deploy", "undeploy", "execute_recipes") else None,
    )
    try:
        folders = {name: book.folder for name, book in revision.cookbooks.items() if book.folder is not None}
        needed = closure(revision.cookbooks, [split_recipe(recipe)[0] for recipe in recipes])
        done = host.run(request, {name: folders[name] for name in needed if name in folders}, lenient=True)
    except CooklineError as error:
        report.note(str(error), place)
        return 0
    for failure in done.failures:
        report.note(failure, place)
    if event != "execute_recipes":
        report.met.update(done.recipes)
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
