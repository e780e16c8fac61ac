"""Save and see: each save is frozen as a revision of the moment, and what it changes is on the hosts before you look up.

Only recipes of the cookbooks that a save touches run again, and only contents that a host lacks travel. Nothing of this is kept
in the store: what is to stay is pushed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cookline.control.lifecycle.hosts import Hosts
from cookline.control.sources.fetch import Fetcher, once
from cookline.control.stack.cookbooks import closure
from cookline.control.stack.revision import Revision, freeze
from cookline.control.stack.run_list import apps_of, run_list
from cookline.control.stack.selectors import select
from cookline.control.store.instances import Instance
from cookline.control.transport.bundle import bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.errors import CooklineError, UsageError
from cookline.kitchen.saves import Saves
from cookline.kitchen.stack_hosts import open_store, snapshot_of
from cookline.kitchen.verifying import Verifying
from cookline.kitchen.working_tree import WorkingTrees, request_of

# (instance or "", event); events are those of runs, and kinds of our own: saved, broken, quiet, failed_run, standing, verified
Show = Callable[[str, Mapping[str, Any]], None]
Heard = Callable[[dict[str, Any]], None]

EVENTS = ("setup", "configure")


@dataclass(frozen=True)
class Touched:
    """What a save means: cookbooks whose recipes run again, apps that are deployed again, cookbooks that are verified."""

    cookbooks: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    everything: bool = False
    tests: frozenset[str] = frozenset()

    @property
    def anything(self) -> bool:
        return bool(self.everything or self.cookbooks or self.apps)


class Loop:
    """The loop on one pushed stack, whose hosts are up. `directory` is .cookline. Raises CooklineError when it cannot begin."""

    def __init__(self, directory: Path, path: Path, show: Show, *, on: str | None = None, verify: bool = True) -> None:
        self.path, self.show = path, show
        self.store = open_store(directory)
        self.pool = Pool(warm=True)
        self.saves = Saves()
        self._fetch = once(Fetcher(directory))
        self.revision = freeze(path, fetch=self._fetch)
        pushed = self.store.revisions.get(self.revision.stack.name)
        self.stack_id = pushed.stack_id
        self.names = self._chosen(on)
        self.hosts = Hosts(self.store)
        self._bundle = bundle()
        self.verifying = Verifying(directory, show) if verify else None
        # what is wrong with an instance, or under "" with the files; shown again after each save until it is mended
        self.standing: dict[str, str] = {}
        self._watch()

    def _chosen(self, on: str | None) -> list[str]:
        stack = self.revision.stack
        states = {each.name: each.state for each in self.store.instances.of(self.stack_id)}
        if on in stack.layers and on not in stack.instances:
            on = f"layer:{on}"
        names = select(stack, on, states) if on else list(stack.instances)
        online = [name for name in names if states.get(name) == "online"]
        if not online:
            said = ", ".join(f"{name} is {states.get(name, 'not pushed')}" for name in names)
            raise UsageError(f"no host to show anything on: {said}", hint=f"cookline setup {stack.name}")
        return online

    def begin(self) -> None:
        """Bring the hosts to what the working tree says now, whatever was pushed."""
        self._apply(Touched(everything=True), time.monotonic())

    def go(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            saved = self.saves.wait(timeout=0.5)
            if saved:
                self.step(saved)

    def step(self, saved: Iterable[Path]) -> None:
        """What follows from one save."""
        begun = time.monotonic()
        try:
            fresh = freeze(self.path, fetch=self._fetch)
        except CooklineError as error:
            self.standing[""] = str(error)
            self.show("", {"kind": "broken", "error": str(error), "files": sorted(map(str, saved))})
            return
        mended = self.standing.pop("", None) is not None
        before, self.revision = self.revision, fresh
        touched = difference(before, fresh, saved)
        if not (touched.anything or touched.tests or mended):
            return
        self._watch()
        self.show("", {"kind": "saved", "files": sorted(map(str, saved))})
        hit = self._apply(touched, begun) if touched.anything else []
        for name, reason in self.standing.items():
            if name not in hit:
                self.show(name, {"kind": "standing", "error": reason})
        failed = any(name in self.standing for name in hit)
        if self.verifying is not None and not failed:
            self._verify(touched)

    def close(self) -> None:
        self.saves.close()
        if self.verifying is not None:
            self.verifying.stop()
        self.pool.close()
        self.store.close()

    # -- on the hosts --------------------------------------------------------------------------------------------------

    def _apply(self, touched: Touched, begun: float) -> list[str]:
        """Run what a save means on all hosts at once. Returns the hosts that it meant."""
        instances = {each.name: each for each in self.store.instances.of(self.stack_id)}
        number = self.store.snapshots.newest(self.stack_id)
        told = snapshot_of(self.revision, list(instances.values()), self.stack_id, store=self.store.id, number=number)
        hit: list[str] = []
        changed: set[str] = set()

        def heard(name: str, message: dict[str, Any]) -> None:
            if message["kind"] == "changed":
                changed.add(name)
            self.show(name, {**message, "after": time.monotonic() - begun})

        def work(name: str) -> None:
            try:
                for event in EVENTS:
                    recipes = recipes_of(self.revision, name, event, touched)
                    if recipes:
                        hit.append(name)
                        self._run(instances[name], event, recipes, told, partial(heard, name))
                if name in hit:
                    self.standing.pop(name, None)
                if name in hit and name not in changed:
                    self.show(name, {"kind": "quiet", "after": time.monotonic() - begun})
            except CooklineError as error:
                self.standing[name] = str(error)
                self.show(name, {"kind": "failed_run", "error": str(error)})

        self.pool.each(work, [name for name in self.names if name in instances and name in self.revision.stack.instances])
        return list(dict.fromkeys(hit))

    def _run(self, instance: Instance, event: str, recipes: Sequence[str], told: Mapping[str, Any], heard: Heard) -> None:
        own = apps_of(self.revision.stack, instance.name)
        apps = {name: {**app, "deploy": event == "setup"} for name, app in told["apps"].items() if name in own}
        request = request_of(
            self.revision,
            instance.name,
            event,
            recipes,
            directory=self.store.directory,
            snapshot={**told, "apps": apps},
        )
        conversation = Conversation(self.pool, self.hosts.target(self.revision, instance), self._bundle)
        end = conversation.run(request, WorkingTrees(self.revision), heard)
        if end["outcome"] != "successful":
            raise CooklineError(str(end.get("error") or end.get("reason") or end["outcome"]))

    def _verify(self, touched: Touched) -> None:
        """The tests of the cookbooks that the save touched, on those hosts that run their recipes."""
        assert self.verifying is not None
        instances = [each for each in self.store.instances.of(self.stack_id) if each.name in self.names]
        books = touched.cookbooks | touched.tests
        known = [each for each in instances if each.name in self.revision.stack.instances]
        targets = [self.hosts.target(self.revision, each) for each in known if self._uses(each.name, books)]
        shown = snapshot_of(self.revision, instances, self.stack_id)
        tests = [folder / "tests" for name in sorted(books) if (folder := self.revision.cookbooks[name].folder)]
        self.verifying.begin([each for each in tests if each.is_dir()], targets, self.revision.stack.name, shown)

    def _uses(self, name: str, books: frozenset[str]) -> bool:
        own = {recipe.partition("::")[0] for event in EVENTS for recipe in run_list(self.revision.stack, name, event)}
        return bool(own & books)

    def _watch(self) -> None:
        folders = [(self.path.absolute().parent, False)]
        folders += [(book.folder, True) for book in self.revision.cookbooks.values() if book.folder is not None]
        sources = [app.source.path for app in self.revision.stack.apps.values() if app.source is not None]
        folders += [(self.revision.path(path), True) for path in sources if path]
        self.saves.watch(folders)


def difference(before: Revision, after: Revision, saved: Iterable[Path]) -> Touched:
    """What has changed between two revisions of one stack, and which cookbooks' tests were saved."""
    changed = {key for key, tree in after.trees.items() if before.trees.get(key) != tree}
    books = {key.partition(":")[2] for key in changed if key.startswith("cookbook:")}
    dependants = {name for name in after.cookbooks if books & {*closure(after.cookbooks, [name])}}
    tests = {
        name
        for name, book in after.cookbooks.items()
        for path in saved
        if book.folder is not None and path.resolve().is_relative_to(book.folder.resolve() / "tests")
    }
    return Touched(
        cookbooks=frozenset(dependants),
        apps=frozenset(key.partition(":")[2] for key in changed if key.startswith("app:")),
        everything=before.stack != after.stack,
        tests=frozenset(tests),
    )


def recipes_of(revision: Revision, instance: str, event: str, touched: Touched) -> list[str]:
    """The recipes of an event that a save makes run again; a new artifact runs those of deploy."""
    stack = revision.stack
    recipes = run_list(stack, instance, event)
    if touched.everything:
        return recipes
    deploys = run_list(stack, instance, "deploy") if touched.apps & {*apps_of(stack, instance)} else []
    return [recipe for recipe in recipes if recipe.partition("::")[0] in touched.cookbooks or recipe in deploys]
