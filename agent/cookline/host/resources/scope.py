"""What a resource may ask of its surroundings while it is bound: the cookbook that declares it and the node's data."""

from __future__ import annotations

from typing import Any, Mapping, Protocol


class Scope(Protocol):
    """Given to `Resource.bind` by `node.ensure`. Paths are "name" (this cookbook) or "cookbook:name"; `..` is refused.

    node    the run's Node (run/node.py)
    """

    node: Any

    def file(self, source: str) -> bytes:
        """The content of `files/SOURCE` of a cookbook. Raises CookbookError."""

    def files(self, source: str) -> Mapping[str, str]:
        """Path below `files/SOURCE` -> absolute path, of each file of that folder. Raises CookbookError."""

    def template_key(self, source: str, values: Mapping[str, Any]) -> str:
        """A hash of all that decides what the template renders to; equal keys mean equal text."""

    def rendered_hash(self, source: str, values: Mapping[str, Any]) -> str:
        """sha256 of the rendered template: out of the host's cache when no input changed, else by rendering."""

    def render(self, source: str, values: Mapping[str, Any]) -> bytes:
        """The rendered `templates/SOURCE`. Raises CookbookError with template and line."""
