"""The surroundings of a resource on a host: see scope.py for what may be asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from cookline.host.run.engine import Engine


class RecipeScope:
    """The surroundings that a resource is bound in: the cookbook of the recipe that declares it."""

    def __init__(self, engine: Engine, cookbook: str) -> None:
        self.node = engine.node
        self._engine = engine
        self._cookbook = cookbook

    def file(self, source: str) -> bytes:
        with open(self._engine.cookbooks.path(self._cookbook, "files", source), "rb") as file:
            return file.read()

    def files(self, source: str) -> Mapping[str, str]:
        return self._engine.cookbooks.below(self._cookbook, "files", source)

    def template_key(self, source: str, values: Mapping[str, Any]) -> str:
        return self._engine.templates.key(self._cookbook, source, values)

    def rendered_hash(self, source: str, values: Mapping[str, Any]) -> str:
        return self._engine.templates.rendered_hash(self._cookbook, source, values)

    def render(self, source: str, values: Mapping[str, Any]) -> bytes:
        return self._engine.templates.render(self._cookbook, source, values)
