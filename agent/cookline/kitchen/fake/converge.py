"""Recipes without a host: `converge` runs them on a fake one, and says what they declared and what came of it.

def test_the_site_listens_where_it_is_told():
    run = converge("nginx", attributes={"nginx": {"port": 8080}})
    assert "listen 8080" in run.file("/etc/nginx/sites-available/site")
    assert run.owed == ["Reload[nginx]"]
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cookline.control.stack.attributes import merge
from cookline.control.stack.checks import check_level
from cookline.control.stack.cookbooks import Cookbook, closure, find_cookbooks, packaged_cookbooks, split_recipe
from cookline.control.stack.document import Document
from cookline.control.stack.mock import mocked
from cookline.control.stack.problems import raise_problems
from cookline.errors import UsageError, did_you_mean
from cookline.host.resources.base import Resource, State
from cookline.kitchen.fake.engine import FakeEngine, LocalCookbooks, explained
from cookline.kitchen.fake.platform import RecordedFacts, platform
from cookline.kitchen.fake.system import Answer, FakeSystem
from cookline.protocol import RunRequest


class Converged:
    """What recipes did to a fake host.

    resources   names of all that was declared, in order: ["Package[nginx-light]", ..]
    changed     names of those that changed something
    skipped     names of those that a guard held back
    owed        actions that wait for the end of the run: ["Reload[nginx]"]
    performed   actions that `now=` asked for
    recipes     addresses of the recipes that ran, included ones too
    logs        what `node.log` said
    """

    def __init__(self, host: FakeHost, engine: FakeEngine) -> None:
        self.host = host
        events = engine.events.events
        ended = [event for event in events if event["kind"] in ("unchanged", "changed", "skipped", "failed")]
        self.resources = [str(event["name"]) for event in ended]
        self.changed = [str(event["name"]) for event in ended if event["kind"] == "changed"]
        self.skipped = [str(event["name"]) for event in ended if event["kind"] == "skipped"]
        self.owed = list(engine.owed)
        self.performed = engine.performed
        self.recipes = engine.recipes
        self.logs = [str(event["text"]) for event in events if event["kind"] == "log"]
        self.failures = engine.failures
        self._because = {name: str(debt["because"]) for name, debt in engine.owed.items()}
        self._bound = engine.bound

    def resource(self, name: str) -> Resource:
        """The declared resource called "Kind[identity]", with its fields. Raises UsageError with the nearest name."""
        if name not in self._bound:
            raise UsageError(f"the recipes declare no {name}{did_you_mean(name, self._bound)}", hint=", ".join(self._bound))
        return self._bound[name]

    def owed_because_of(self, action: str) -> str:
        """The resource that an owed action is promised by."""
        return self._because[action]

    def file(self, path: str) -> str:
        """The text of a file as it stands on the fake host now. Raises UsageError when there is none."""
        content = self.host.system.read(path)
        if content is None:
            known = [each for each, node in self.host.system.nodes.items() if node is not None]
            raise UsageError(f"there is no file {path} on the fake host{did_you_mean(path, known)}")
        return content.decode()

    @property
    def ran(self) -> list[str]:
        """Every program that was asked for, in order; none of them was started."""
        return self.host.system.ran


class FakeHost:
    """A host of a platform, in memory. What one run leaves is there for the next."""

    def __init__(
        self,
        platform_name: str = "debian-12",
        *,
        facts: Mapping[str, Any] | None = None,
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        recorded = platform(platform_name)
        self.system = FakeSystem(recorded, answers)
        self.facts = RecordedFacts(recorded.facts, facts or {}, self.system)
        self.done: dict[str, State] = {}

    def run(self, request: RunRequest, folders: Mapping[str, Path], *, lenient: bool = False) -> Converged:
        """Run a request's recipes; `folders` has the cookbooks. Raises CooklineError with the author's own lines."""
        cookbooks = LocalCookbooks(folders)
        try:
            engine = FakeEngine(request, cookbooks, self.system, self.facts, self.done, lenient=lenient)
            engine.go(request.recipes)
        except (Exception, SystemExit) as error:
            raise explained(error) from None
        return Converged(self, engine)


def converge(
    recipes: str | Sequence[str],
    *,
    platform: str = "debian-12",
    attributes: Mapping[str, Any] | None = None,
    snapshot: Mapping[str, Any] | None = None,
    layers: Sequence[str] = (),
    event: str = "setup",
    app: str | None = None,
    facts: Mapping[str, Any] | None = None,
    answers: Mapping[str, Answer] | None = None,
    cookbooks: Path | str | None = None,
    host: FakeHost | None = None,
) -> Converged:
    """Run one recipe or several on a fake host of `platform` and return what came of it.

    attributes   over the defaults of the cookbooks; unknown ones are refused
    snapshot     the rest of the stack: {"instances": {"app1": {"layers": ["app"], "address": ..}}, "apps": {..}}
    layers       the layers of this host, which is called host1
    app          the app that a deploy is about
    facts        over the recorded ones: {"memory": {"total": 1 << 30}}; a cookbook's own as {"postgres": {"version": "15"}}
    answers      what programs answer, guards too: {"test -e /x": 0, "hostname -f": "web1.example.org"}; others answer no
    cookbooks    the folder of cookbooks; by default the one around the caller's file, and those that come with cookline
    host         a FakeHost that earlier recipes have run on

    Raises CooklineError (CookbookError, ResourceUsageError, RunError) with the author's own lines.
    """
    wanted = [recipes] if isinstance(recipes, str) else list(recipes)
    caller = sys._getframe(1).f_code.co_filename
    known = _known(Path(cookbooks) if cookbooks is not None else None, Path(caller))
    closed = closure(known, [split_recipe(each)[0] for each in wanted])
    told = mocked(snapshot or {})
    fake = host or FakeHost(platform, facts=facts, answers=answers)
    own = _own_instance(fake, layers)
    request = RunRequest(
        run="fake",
        instance=own["name"],
        instance_id=own["id"],
        stack="fake",
        event=event,
        recipes=wanted,
        attributes=_attributes(known, closed, attributes or {}, told["apps"]),
        snapshot={
            **told,
            "layers": {**{name: {"name": name} for name in layers}, **told["layers"]},
            "stack": {"name": "fake", "id": "fake"},
            "number": 1,
            "instances": [own, *told["instances"]],
        },
        app=app,
    )
    return fake.run(request, {name: known[name].folder or Path() for name in closed})


def _own_instance(fake: FakeHost, layers: Iterable[str]) -> dict[str, Any]:
    address = fake.facts.read("addresses")[0]
    own = {"name": "host1", "id": "host1", "address": address, "private_address": address, "layers": list(layers)}
    return {**own, "state": "online", "online": True}


def _attributes(
    known: Mapping[str, Cookbook], closed: Iterable[str], given: Mapping[str, Any], apps: Mapping[str, Any]
) -> dict[str, Any]:
    if given:
        document = Document("attributes", [], data=dict(given), excerpts=False)
        check_level(document, (), given, known, set(apps), set())
        raise_problems(document.problems)
    return dict(merge({name: known[name].defaults() for name in closed}, given))


def _known(folder: Path | None, caller: Path) -> Mapping[str, Cookbook]:
    return _found(folder.absolute() if folder else _around(caller))


@functools.cache
def _around(caller: Path) -> Path:
    """The folder of cookbooks that a test file lies in, or the one beside it or above."""
    for parent in caller.absolute().parents:
        if (parent / "cookbook.yml").is_file():
            return parent.parent
        if (parent / "cookbooks").is_dir():
            return parent / "cookbooks"
    return Path.cwd() / "cookbooks"


@functools.cache
def _found(folder: Path) -> Mapping[str, Cookbook]:
    return find_cookbooks([folder, packaged_cookbooks()])
