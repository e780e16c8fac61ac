"""kitchen.yml: what is tested, on which platforms, on whose hosts.

providers: {container: {packages: [nginx-light]}}    the first one is the default; settings for each of its hosts
platforms: [debian-11, debian-12, debian-13]         or a mapping: {debian-11: {attributes: {..}, settings: {..}}}
suites:
  default:
    recipes: [nginx]                                 a list is that of setup; or {setup: [..], configure: [..]}
    attributes: {nginx: {port: 8080}}
    snapshot: {instances: {app1: {layers: [app], address: 192.0.2.1}}}      or a JSON file
    hooks: {pre_verify: ["./load-data", {remote: "systemctl start job"}]}
  app: {stack: stacks/shop.yml, layer: app}          instead of recipes: the run lists of a stack's layer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from cookline.control.stack.attributes import merge
from cookline.control.stack.cookbooks import Cookbook, find_cookbooks, packaged_cookbooks
from cookline.control.stack.definition import Definition
from cookline.control.stack.document import Document
from cookline.control.stack.mock import mocked, read_mock
from cookline.control.stack.models import App, Instance, Model, Recipes, Stack
from cookline.control.stack.scalars import described
from cookline.control.stack.values import Attributes, Name, Names, Texts, as_mapping, as_tuple, wrong
from cookline.errors import StackError

FILE = "kitchen.yml"
# What is otherwise on one machine alone; it is not for version control.
LOCAL_FILE = "kitchen.local.yml"
PLATFORMS = ("debian-11", "debian-12", "debian-13")
# What a host goes through when it joins a stack.
EVENTS = ("setup", "configure")


def _platforms(value: Any) -> Any:
    return {name: {} for name in value} if isinstance(value, (list, tuple)) else as_mapping(value)


def _recipes(value: Any) -> Any:
    if isinstance(value, str):
        raise wrong(f"wants a list, or a mapping of events to lists, not {described(value)}; write [{value}]")
    return {"setup": value} if isinstance(value, (list, tuple)) else value


def _snapshot(value: Any) -> Any:
    if value is not None and not isinstance(value, (str, dict)):
        raise wrong(f"wants a mapping or the name of a JSON file, not {described(value)}")
    return value


Settings = Annotated[dict[str, Any], BeforeValidator(as_mapping)]


@dataclass(frozen=True)
class Hook:
    """A command around a phase: run by the shell of this machine in the folder of kitchen.yml; `remote`, by the host's."""

    command: str
    remote: bool = False


def _hooks(value: Any) -> Any:
    found = []
    for entry in as_tuple(value):
        remote = isinstance(entry, dict) and list(entry) == ["remote"]
        command = entry["remote"] if remote else entry
        if not isinstance(command, str):
            raise wrong(f"wants commands: a text is run here, {{remote: TEXT}} on the host; not {described(command)}")
        found.append(Hook(command, remote))
    return tuple(found)


HookList = Annotated[tuple[Any, ...], BeforeValidator(_hooks)]


class Hooks(Model):
    """What is run around the phases of a suite (features T10), in this order."""

    post_create: HookList = ()
    pre_converge: HookList = ()
    post_converge: HookList = ()
    pre_verify: HookList = ()
    post_verify: HookList = ()


class Platform(Model):
    """A kind of host. For the providers container and vagrant its name is the image or box, unless `settings` name another."""

    provider: str | None = None
    settings: Settings = Field(default_factory=dict)
    attributes: Attributes = Field(default_factory=dict)


class Suite(Model):
    """One thing that is tested: recipes, or the run lists of a layer of a stack."""

    recipes: Annotated[Recipes | None, BeforeValidator(_recipes)] = None
    stack: str | None = None
    layer: str | None = None
    layers: Names = ()
    events: Texts = ()
    attributes: Attributes = Field(default_factory=dict)
    snapshot: Annotated[Any, BeforeValidator(_snapshot)] = None
    apps: Annotated[dict[Name, App], BeforeValidator(as_mapping)] = Field(default_factory=dict)
    platforms: Names = ()
    excludes: Names = ()
    provider: str | None = None
    settings: Settings = Field(default_factory=dict)
    tests: Texts = ()
    hooks: Annotated[Hooks, BeforeValidator(as_mapping)] = Field(default_factory=Hooks)

    @model_validator(mode="after")
    def _one_source(self) -> Suite:
        if (self.recipes is None) == (self.stack is None):
            raise wrong("needs either `recipes` or a `stack` with a `layer`")
        if (self.stack is None) != (self.layer is None):
            raise wrong("needs `stack` and `layer` together")
        return self


class KitchenModel(Model):
    cookbooks: Texts = ()
    providers: Annotated[dict[Name, Settings], BeforeValidator(as_mapping)] = Field(default_factory=dict)
    platforms: Annotated[dict[Name, Platform], BeforeValidator(_platforms), Field(min_length=1)] = Field(
        default_factory=lambda: {name: Platform() for name in PLATFORMS}
    )
    suites: Annotated[dict[Name, Suite], Field(min_length=1)]


@dataclass(frozen=True)
class KitchenFile:
    """A checked kitchen.yml. `cookbook` is the name of the cookbook that it lies in, or None at the root of a project."""

    model: KitchenModel
    document: Document
    directory: Path
    cookbook: str | None

    @cached_property
    def cookbooks(self) -> Mapping[str, Cookbook]:
        """Every cookbook that its suites can use. Raises StackError."""
        return find_cookbooks(self._search())

    def _search(self) -> list[Path]:
        named = [self.directory / Path(text).expanduser() for text in self.model.cookbooks]
        beside = (
            [self.directory.parent] if self.cookbook else [self.directory / "cookbooks", self.directory.parent / "cookbooks"]
        )
        return [*named, *beside, packaged_cookbooks()]

    def provider(self, suite: str, platform: str) -> str:
        default = next(iter(self.model.providers), "container")
        return self.model.suites[suite].provider or self.model.platforms[platform].provider or default

    def settings(self, suite: str, platform: str) -> dict[str, Any]:
        """The provider's settings for one host: of the provider, then the platform, then the suite; lists add up."""
        provider = self.provider(suite, platform)
        own = {"container": {"image": platform}, "vagrant": {"platform": platform}}
        sources = (self.model.providers.get(provider, {}), self.model.platforms[platform].settings)
        found: dict[str, Any] = own.get(provider, {})
        for source in (*sources, self.model.suites[suite].settings):
            for name, value in source.items():
                both = isinstance(value, list) and isinstance(found.get(name), list)
                found[name] = [*found[name], *value] if both else value
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """(suite, platform) of each host, in the order of the file."""
        return [
            (name, platform)
            for name, suite in self.model.suites.items()
            for platform in self.model.platforms
            if (not suite.platforms or platform in suite.platforms) and platform not in suite.excludes
        ]

    def events(self, suite: str) -> tuple[str, ...]:
        """The lifecycle events that a converge goes through."""
        model = self.model.suites[suite]
        if model.events:
            return model.events
        return EVENTS if model.recipes is None or model.recipes.configure else EVENTS[:1]

    def definition(self, suite: str, platform: str, instance: str) -> Definition:
        """A stack whose one host `instance` is the suite's. Raises StackError."""
        model = self.model.suites[suite]
        attributes = merge(self.model.platforms[platform].attributes, model.attributes)
        if model.stack is not None:
            return self._of_stack(model, instance, attributes)
        assert model.recipes is not None
        layers = list(model.layers) or [self.cookbook or suite]
        # pydantic validates instances of models as they are
        stack = Stack(
            stack=f"kitchen-{self.cookbook or 'suite'}",
            layers={name: {"recipes": model.recipes if index == 0 else {}} for index, name in enumerate(layers)},  # type: ignore[misc]
            instances={instance: _host(layers, attributes)},
            apps=model.apps,
        )
        return Definition(stack, self.cookbooks, self.directory, self.document.file)

    def _of_stack(self, model: Suite, instance: str, attributes: Mapping[str, Any]) -> Definition:
        from cookline.control.stack.loading import load_stack

        definition = load_stack(self.directory / Path(str(model.stack)).expanduser())
        layers = [str(model.layer), *model.layers]
        instances = {**definition.stack.instances, instance: _host(layers, attributes)}
        stack = definition.stack.model_copy(update={"instances": instances})
        return Definition(stack, definition.cookbooks, definition.directory, definition.file)

    def snapshot(self, suite: str) -> dict[str, Any]:
        """What the suite says of the neighbours, as RunRequest.snapshot has it: layers, instances, apps."""
        try:
            mock = read_mock(self.model.suites[suite].snapshot, self.directory)
        except ValueError as error:
            raise StackError([f"{self.document.position(('suites', suite, 'snapshot'))}: {error}"]) from None
        return mocked(mock)


def _host(layers: Sequence[str], attributes: Mapping[str, Any]) -> Instance:
    return Instance(layers=tuple(layers), address="localhost", attributes=dict(attributes))
