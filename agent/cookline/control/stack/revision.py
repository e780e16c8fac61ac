"""A revision: definitions and the hashes of all contents, frozen at push. Every run names one, never the working tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.cookbooks import Cookbook, closure, recipe_problem, shipped_files, split_recipe
from cookline.control.stack.definition import Definition
from cookline.control.stack.problems import Position, shown
from cookline.control.stack.secrets import from_plain, references
from cookline.errors import CookbookError, StackError
from cookline.protocol import canonical_json, content_hash, tree_hash

if TYPE_CHECKING:
    from cookline.control.stack.artifact import Artifact
    from cookline.control.stack.models import Source

# Gets an app's files: (definition, app, source) -> (artifact, what the source stood at, such as {"commit": ..}).
Fetch = Callable[[Definition, str, "Source"], "tuple[Artifact, Mapping[str, Any]]"]

# Raised when the JSON below changes its meaning; `Revision.load` refuses what is newer.
FORMAT = 1


@dataclass(frozen=True)
class Blob:
    """One content of a revision: where it lies in the working tree, or the bytes themselves."""

    sha256: str
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The bytes, which have this hash. Raises StackError when the file has changed since it was hashed."""
        content = self.content
        if content is None:
            assert self.path is not None
            try:
                content = self.path.read_bytes()
            except OSError as error:
                raise StackError([f"{shown(self.path)}: cannot be read: {error.strerror}"]) from None
        if content_hash(content) != self.sha256:
            raise StackError([f"{shown(self.path or Path())}: has changed while it was being pushed"], hint="push again")
        return content


@dataclass(frozen=True)
class Revision(Definition):
    """A Definition with its contents.

    trees      {"cookbook:nginx": tree hash, "app:shop": tree hash}
    manifests  {tree hash: [[path, "0644" or "0755", sha256], ..]}
    sources    {"shop": {"commit": "0123.."}}: what the apps' sources stood at when they were fetched
    blobs      every content of the manifests, each once; empty in a revision that was loaded, the store has them
    """

    trees: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, list[list[Any]]] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    blobs: Sequence[Blob] = ()

    @cached_property
    def hash(self) -> str:
        """Equal for equal definitions and contents, wherever they lie: positions do not count, and the folder does only when
        the stack names files by their way from it that stay where they are (keys, files of secrets)."""
        plain = self.stack.plain()
        del plain["cookbooks"]
        cookbooks = {name: _cookbook_to_dict(cookbook) for name, cookbook in self.cookbooks.items()}
        for cookbook in cookbooks.values():
            del cookbook["positions"]
        hashed: dict[str, Any] = {"stack": plain, "cookbooks": cookbooks, "trees": dict(self.trees)}
        if self.sources:
            hashed["sources"] = {app: dict(stood) for app, stood in self.sources.items()}
        if self._beside():
            hashed["directory"] = str(self.directory)
        return content_hash(canonical_json(hashed).encode())

    def _beside(self) -> list[str]:
        """Relative paths of files that the stack leaves in the working tree."""
        hosts = self.stack.instances.values()
        named = [each for host in hosts for each in (host.identity_file, host.ssh_config) if each]
        named += [each.name for each in references(self.stack) if each.kind in ("file", "age")]
        return [path for path in named if not path.startswith(("/", "~"))]

    def trees_for(self, recipes: Iterable[str], apps: Iterable[str] = ()) -> dict[str, str]:
        """The trees that a run of `recipes` needs: their cookbooks with all that these depend on, and the apps' artifacts.

        Raises CookbookError for a recipe that the revision does not have.
        """
        recipes = list(recipes)
        for recipe in recipes:
            problem = recipe_problem(recipe, self.cookbooks)
            if problem:
                raise CookbookError(problem, hint="add it to the cookbook and push again")
        names = closure(self.cookbooks, [split_recipe(recipe)[0] for recipe in recipes])
        wanted = [f"cookbook:{name}" for name in names] + [f"app:{name}" for name in apps]
        return {key: self.trees[key] for key in wanted if key in self.trees}

    def to_dict(self) -> dict[str, Any]:
        """JSON data that `Revision.load` reads back; secrets are references."""
        return {
            "format": FORMAT,
            "stack": self.stack.plain(),
            "directory": str(self.directory),
            "file": self.file,
            "positions": [[list(where), position.line, position.column] for where, position in self.positions.items()],
            "cookbooks": {name: _cookbook_to_dict(cookbook) for name, cookbook in self.cookbooks.items()},
            "trees": dict(self.trees),
            "manifests": {tree: [list(entry) for entry in entries] for tree, entries in self.manifests.items()},
            "sources": {app: dict(stood) for app, stood in self.sources.items()},
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Revision:
        """The revision that `to_dict` wrote. Raises StackError for one of a newer cookline."""
        from cookline.control.stack.metadata import AttributeType
        from cookline.control.stack.models import Stack

        return cls._read(
            data,
            lambda plain: Stack.model_validate(from_plain(plain)),
            lambda plain: AttributeType.model_validate(from_plain(plain)),
        )

    @classmethod
    def recall(cls, data: Mapping[str, Any]) -> Revision:
        """The same for one that is only read: its models are recalled (see recalled.py), in a tenth of the time."""
        from cookline.control.stack import recalled

        return cls._read(data, recalled.stack, recalled.attribute_type)

    @classmethod
    def _read(cls, data: Mapping[str, Any], stack: Callable[[Any], Any], attribute_type: Callable[[Any], Any]) -> Revision:
        if data.get("format") != FORMAT:
            raise StackError([f"the revision has format {data.get('format')!r}; this cookline reads {FORMAT}"])
        return cls(
            stack=stack(data["stack"]),
            cookbooks={name: _cookbook_from_dict(name, each, attribute_type) for name, each in data["cookbooks"].items()},
            directory=Path(data["directory"]),
            file=data["file"],
            positions={tuple(where): Position(data["file"], line, column) for where, line, column in data["positions"]},
            trees=dict(data["trees"]),
            manifests=dict(data["manifests"]),
            sources=dict(data.get("sources") or {}),
        )


def freeze(path: Path | str, *, search: Sequence[Path] = (), fetch: Fetch | None = None) -> Revision:
    """Load the stack at `path` and hash everything that its runs can need. Raises StackError and CookbookError."""
    from cookline.control.stack.loading import load_stack

    return frozen(load_stack(path, search=search), fetch)


def local_only(definition: Definition, app: str, source: Source) -> tuple[Artifact, Mapping[str, Any]]:
    """The Fetch of those who are not on the network."""
    from cookline.control.stack.artifact import artifact

    if source.type != "local" or source.path is None:
        raise StackError([f"the source of {app!r} has to be fetched: {source.type}"], hint="`cookline push` does so")
    return artifact(definition.path(source.path)), {}


def unfetched(definition: Definition, app: str, source: Source) -> tuple[Artifact, Mapping[str, Any]]:
    """A Fetch for those who run recipes without their apps: what is not local is empty."""
    from cookline.control.stack.artifact import packed

    return local_only(definition, app, source) if source.type == "local" else (packed([], app), {})


def frozen(definition: Definition, fetch: Fetch | None = None) -> Revision:
    """`definition` with the contents of its cookbooks and apps as they are now."""
    trees: dict[str, str] = {}
    sources: dict[str, Mapping[str, Any]] = {}
    manifests: dict[str, list[list[Any]]] = {}
    blobs: dict[str, Blob] = {}
    for name, cookbook in definition.cookbooks.items():
        assert cookbook.folder is not None
        files = shipped_files(cookbook.folder)
        manifest = [file.entry for file in files]
        trees[f"cookbook:{name}"] = tree = tree_hash(manifest)
        manifests[tree] = manifest
        blobs |= {file.sha256: Blob(file.sha256, path=file.source) for file in files}
    for name, app in definition.stack.apps.items():
        if app.source is None:
            continue
        packed, stood = (fetch or local_only)(definition, name, app.source)
        if stood:
            sources[name] = stood
        trees[f"app:{name}"] = packed.tree
        manifests[packed.tree] = packed.manifest
        blobs[packed.sha256] = Blob(packed.sha256, content=packed.content)
    return Revision(
        stack=definition.stack,
        cookbooks=definition.cookbooks,
        directory=definition.directory,
        file=definition.file,
        positions=definition.positions,
        trees=trees,
        manifests=manifests,
        sources=sources,
        blobs=tuple(blobs.values()),
    )


def _cookbook_to_dict(cookbook: Cookbook) -> dict[str, Any]:
    return {
        "version": cookbook.version,
        "depends": list(cookbook.depends),
        "supports": list(cookbook.supports),
        "recipes": list(cookbook.recipes),
        "attributes": {name: kind.plain(given=True) for name, kind in cookbook.attributes.items()},
        "positions": {name: [each.file, each.line, each.column] for name, each in cookbook.positions.items()},
    }


def _cookbook_from_dict(name: str, data: Mapping[str, Any], attribute_type: Callable[[Any], Any]) -> Cookbook:
    return Cookbook(
        name=name,
        version=data["version"],
        depends=tuple(data["depends"]),
        supports=tuple(data["supports"]),
        attributes={each: attribute_type(kind) for each, kind in data["attributes"].items()},
        recipes=tuple(data["recipes"]),
        positions={each: Position(*place) for each, place in data["positions"].items()},
    )
