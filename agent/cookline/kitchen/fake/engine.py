"""The engine of runs on a fake host: the same reading, comparing and reporting; effects instead of work."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.errors import CooklineError, RunError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Action, Changes, Resource, State, differences
from cookline.host.run import origin
from cookline.host.run.cookbooks import Cookbooks
from cookline.host.run.engine import Engine
from cookline.host.run.guard import PlanGuard
from cookline.host.run.node import Outcome
from cookline.host.run.templates import Templates
from cookline.kitchen.fake.effects import carry_out
from cookline.kitchen.fake.platform import ExampleFacts, RecordedFacts
from cookline.kitchen.fake.system import FakeSystem
from cookline.protocol import RunRequest, content_hash

if TYPE_CHECKING:
    import jinja2

Event = dict[str, Any]


class Events:
    """A journal that keeps its events in memory."""

    directory = "/nonexistent"

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, event: Event, *, now: bool = True) -> None:
        self.events.append(event)

    def sync(self) -> None:
        pass


class LocalCookbooks(Cookbooks):
    """Cookbooks where they lie on this machine; loaded anew when other ones are asked for or one of their files has changed."""

    _installed: tuple[Any, Mapping[str, int]] = (None, {})

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.directories = {name: str(folder.resolve()) for name, folder in folders.items()}
        self._paths = {}
        standing = {path: changed for folder in self.directories.values() for path, changed in _sources(folder)}
        root = sys.modules.get("cookbooks")
        if LocalCookbooks._installed != (root, standing):
            linecache.checkcache()
            self._install()
            LocalCookbooks._installed = (sys.modules["cookbooks"], standing)


def _sources(folder: str) -> Iterator[tuple[str, int]]:
    """Each Python file of a cookbook with the time of its last change."""
    for inner in ("recipes", "resources", "facts"):
        with suppress(FileNotFoundError), os.scandir(f"{folder}/{inner}") as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield entry.path, entry.stat().st_mtime_ns


class FakeTemplates(Templates):
    """Renders each time, into nothing but memory; compiled templates are kept for the whole process."""

    _compiled: dict[str, jinja2.Environment] = {}  # noqa: RUF012  # shared by all fake hosts on purpose

    def __init__(self, cookbooks: Cookbooks, node: Any) -> None:
        super().__init__(cookbooks, node)
        self._cache = {}

    def rendered_hash(self, cookbook: str, source: str, values: Mapping[str, Any]) -> str:
        return content_hash(self.render(cookbook, source, values))

    def save(self) -> None:
        pass

    def _environment(self, cookbook: str) -> jinja2.Environment:
        directory = self.cookbooks.directory(cookbook)
        if directory not in self._compiled:
            self._compiled[directory] = super()._environment(cookbook)
        return self._compiled[directory]


class FakeEngine(Engine):
    """`done` is what kinds of a cookbook's own have declared before, which nothing in memory shows; it stays with the host.

    `lenient` goes on after a failure, and keeps it in `failures`.
    """

    def __init__(
        self,
        request: RunRequest,
        cookbooks: LocalCookbooks,
        system: FakeSystem,
        facts: RecordedFacts,
        done: dict[str, State],
        *,
        lenient: bool = False,
    ) -> None:
        self.events = Events()
        super().__init__(request, self.events, cookbooks, [], system=system, facts=facts)  # type: ignore[arg-type]
        self.fake, self.done, self.lenient = system, done, lenient
        self.templates = FakeTemplates(cookbooks, self.node)
        facts.own = ExampleFacts(cookbooks)
        self.bound: dict[str, Resource] = {}
        self.failures: list[str] = []
        self.performed: list[str] = []

    def go(self, recipes: Sequence[str]) -> None:
        """Run recipes. Raises what they raise; lenient, the next one follows."""
        for recipe in recipes:
            try:
                with guarded(self.fake):
                    self.run_recipe(recipe)
            except (Exception, SystemExit) as error:
                if not self.lenient:
                    raise
                self.failures.append(origin.describe(error))

    def _check_still_wanted(self) -> None:
        pass

    def _declare(self, bound: Resource, desired: Mapping[str, Any], header: Event) -> None:
        super()._declare(bound, desired, header)
        self.bound[bound.name] = bound

    def _differences(self, bound: Resource, desired: State) -> Changes:
        if self.done.get(bound.name) == desired:
            return {}
        try:
            return differences(bound.current(self.fake), desired)
        except (RunError, CannotKnow):
            # it asks a program that is not there; a fresh host has none of what it asks for
            return differences({}, desired)

    def _keep_before(self, bound: Resource, changes: Changes, header: Event) -> None:
        """Nobody undoes what was done to a fake host."""

    def _own_actions(self, bound: Resource) -> Sequence[Action]:
        """What a resource of itself owes depends on what was sent (a release's hooks), and nothing was."""
        with suppress(CooklineError):
            return bound.owes(self.fake)
        return ()

    def _apply(self, bound: Resource, changes: Changes) -> None:
        carry_out(bound, self.fake)
        desired = bound.desired()
        if bound.has_state and self._differences(bound, desired):
            self.done[bound.name] = desired

    def _pay(self, name: str) -> None:
        self.performed.append(name)
        del self.owed[name]

    def _failed(self, resource: Resource, header: Event, error: Exception, *rest: Any) -> Outcome:
        if not self.lenient:
            return super()._failed(resource, header, error, *rest)
        place = rest[0]
        self.failures.append(f"{resource.name}: {origin.describe(error, place)}")
        return Outcome("failed")


class FakeGuard(PlanGuard):
    rule = "a recipe on a fake host must not touch this machine"


_guard: FakeGuard | None = None


@contextmanager
def guarded(system: FakeSystem) -> Iterator[None]:
    """While recipe code runs, what it would do to this machine without its System is refused."""
    global _guard
    if _guard is None:
        _guard = FakeGuard(system)
    before = sys.dont_write_bytecode
    _guard.system, _guard.active, sys.dont_write_bytecode = system, True, True
    try:
        yield
    finally:
        _guard.active, sys.dont_write_bytecode = False, before


def explained(error: BaseException) -> CooklineError:
    """The error as an author is told of it: the sentence and their own lines."""
    if isinstance(error, CooklineError) and "\nat " in error.message:
        return error
    kind = type(error) if isinstance(error, CooklineError) and type(error).__init__ is CooklineError.__init__ else RunError
    return kind(origin.describe(error))
