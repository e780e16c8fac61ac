"""The request of one run: recipes, merged attributes, snapshot, trees and secrets, from a frozen revision and the store."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, BinaryIO

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.snapshots import Snapshots
from cookline.protocol import RunRequest

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.runs import RunRecord
    from cookline.control.store.store import Store


# Recipes that every host knows without a cookbook (host/run/built_in.py).
INSTALL_DEPENDENCIES, UPDATE_DEPENDENCIES = "cookline::install_dependencies", "cookline::update_dependencies"
OF_AN_APP = {word: f"cookline::{word}_app" for word in ("start", "stop", "restart")}
BUILT_IN = frozenset({INSTALL_DEPENDENCIES, UPDATE_DEPENDENCIES, *OF_AN_APP.values()})


class Revisions:
    """Revisions of the store, read back once each (they never change)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._load = functools.lru_cache(maxsize=16)(self._read)

    def get(self, stack: str, number: int) -> Revision:
        with self._lock:
            return self._load(stack, number)

    def _read(self, stack: str, number: int) -> Revision:
        from cookline.control.stack.revision import Revision

        return Revision.recall(dict(self._store.revisions.get(stack, number).content))


class KeptTrees:
    """A revision's trees out of the store: what a host lacks is sent from here (transport's Trees)."""

    def __init__(self, store: Store, revision: Revision) -> None:
        self._store = store
        self._manifests = revision.manifests

    def manifest(self, tree: str) -> list[list[str]]:
        return [list(entry) for entry in self._manifests[tree]]

    def open(self, content: str) -> BinaryIO:
        return self._store.blobs.path(content).open("rb")


def deployed_apps(revision: Revision, instance: str, command: Command, event: str) -> list[str]:
    """The apps whose `deploy` flag is set: all of the instance's on setup, those of the command on a deployment."""
    from cookline.control.stack.events import EVENTS
    from cookline.control.stack.run_list import apps_of

    own = apps_of(revision.stack, instance)
    if EVENTS[event].every_app:
        return own
    wanted = command.apps or tuple(own)
    return [app for app in own if app in wanted] if event in ("deploy", "undeploy", "execute_recipes") else []


def recipes_of(revision: Revision, instance: str, command: Command, event: str) -> list[str]:
    from cookline.control.stack.run_list import run_list

    if event == "execute_recipes" and INSTALL_DEPENDENCIES in command.recipes:
        return [INSTALL_DEPENDENCIES, *run_list(revision.stack, instance, "setup")]
    if event == "execute_recipes":
        return [recipe if "::" in recipe else f"{recipe}::default" for recipe in command.recipes]
    return run_list(revision.stack, instance, event)


def timeout_of(revision: Revision, instance: str, command: Command, event: str) -> float | None:
    """Seconds until the host stops starting resources: the longest of its layers for events that are limited."""
    from cookline.control.stack.events import EVENTS

    if command.timeout is not None or not EVENTS[event].limited:
        return command.timeout
    layers = revision.stack.instances[instance].layers
    return float(max(revision.stack.layers[layer].shutdown_timeout for layer in layers))


def build(
    store: Store, snapshots: Snapshots, revision: Revision, command: Command, run: RunRecord, instance: Instance
) -> RunRequest:
    """The request of `run`, with every secret resolved; it goes to the host and nowhere else. Raises UsageError."""
    from cookline.control.stack.attributes import merged_attributes
    from cookline.control.stack.secret_resolver import Resolver
    from cookline.control.stack.snapshot import agent_settings

    name, event = instance.name, run.event
    resolver = Resolver(store.directory, base=revision.directory)
    apps = deployed_apps(revision, name, command, event)
    app = apps[0] if len(apps) == 1 and event != "setup" else None
    recipes = recipes_of(revision, name, command, event)
    attributes = merged_attributes(revision, name, app=app, event_attributes=command.attributes)
    layers = [layer_id(instance.stack_id, layer) for layer in instance.layers]
    agent = None
    if event == "setup":
        agent = agent_settings(revision, name, instance_id=instance.id, stack_id=instance.stack_id, layer_ids=layers)
    return RunRequest(
        run=run.id,
        instance=name,
        instance_id=instance.id,
        stack=revision.stack.name,
        event=event,
        recipes=recipes,
        attributes=resolver.resolve(attributes),
        snapshot=snapshots.of_run(revision, run, instance, apps, resolver, rollback=command.kind == "rollback"),
        trees=_trees(revision, recipes, apps, command),
        revision=command.revision or 0,
        apply=run.apply,
        lock_wait=command.lock_wait,
        timeout=timeout_of(revision, name, command, event),
        take_over=command.take_over,
        app=app,
        agent=resolver.resolve(agent),
        secrets=resolver.values,
        verbose=command.verbose,
        undo=command.undo,
    )


def _trees(revision: Revision, recipes: list[str], apps: list[str], command: Command) -> dict[str, str]:
    """What the recipes need; to undo a run, every cookbook, as kinds of its own may have changed something."""
    if command.undo is not None:
        return {key: tree for key, tree in revision.trees.items() if key.startswith("cookbook:")}
    return dict(revision.trees_for([recipe for recipe in recipes if recipe not in BUILT_IN], apps))


def layer_id(stack_id: str, layer: str) -> str:
    """The LayerId of metrics: immutable, and different in every stack."""
    return f"{stack_id}-{layer}"
