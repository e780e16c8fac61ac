"""Renders a cookbook's templates, and remembers what they rendered to.

A quiet run renders nothing and does not even import jinja2 (29 ms): the host's cache maps everything that a template can see
(its cookbook's tree, its values, attributes, snapshot, and the facts that it read last time) to the hash of the text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from cookline.errors import CookbookError
from cookline.host import paths
from cookline.host.facts import fingerprint
from cookline.host.run import origin
from cookline.host.run.cookbooks import Cookbooks
from cookline.protocol import canonical_json, content_hash

if TYPE_CHECKING:
    import jinja2

    from cookline.host.run.node import Node

# 1,000 templates on a host, a few versions each.
ENTRIES_KEPT = 4000


class Templates:
    """The templates of one run; `save` writes the cache when it has changed."""

    def __init__(self, cookbooks: Cookbooks, node: Node) -> None:
        self.cookbooks = cookbooks
        self.node = node
        self._surroundings = content_hash(canonical_json(node.template_inputs()).encode())
        self._cache: Optional[Dict[str, Dict[str, Any]]] = None
        self._changed = False
        self._environments: Dict[str, jinja2.Environment] = {}
        # (key, text) of the template that was bound last: it is shown and written next
        self._latest = ("", b"")

    def key(self, cookbook: str, source: str, values: Mapping[str, Any]) -> str:
        path = self.cookbooks.path(cookbook, "templates", source)
        try:
            shown = json.dumps(values, sort_keys=True, separators=(",", ":"), default=_plain)
        except TypeError as error:
            raise CookbookError(f"the values of template {source!r} must be JSON: {error}") from None
        return content_hash(f"{path}\0{shown}\0{self._surroundings}".encode())

    def rendered_hash(self, cookbook: str, source: str, values: Mapping[str, Any]) -> str:
        key = self.key(cookbook, source, values)
        entry = self.cache.get(key)
        if entry is not None and self._same_facts(entry["facts"]):
            return str(entry["sha256"])
        self._latest = (key, self._rendered(key, cookbook, source, values))
        return str(self.cache[key]["sha256"])

    def _same_facts(self, seen: Mapping[str, str]) -> bool:
        """Whether the facts that the template looked at are what they were; one that is gone is not."""
        try:
            return all(fingerprint(self.node.facts.read(name)) == value for name, value in seen.items())
        except CookbookError:
            return False

    def render(self, cookbook: str, source: str, values: Mapping[str, Any]) -> bytes:
        key = self.key(cookbook, source, values)
        return self._latest[1] if key == self._latest[0] else self._rendered(key, cookbook, source, values)

    def _rendered(self, key: str, cookbook: str, source: str, values: Mapping[str, Any]) -> bytes:
        import jinja2

        other, _, name = source.rpartition(":")
        self.cookbooks.path(cookbook, "templates", source)
        with self.node.facts.recorded() as facts:
            try:
                template = self._environment(other or cookbook).get_template(name)
                content = template.render(node=self.node, **values).encode()
            except jinja2.TemplateError as error:
                raise self._explained(error, other or cookbook, name) from None
        self.cache[key] = {"sha256": content_hash(content), "facts": dict(facts)}
        self._changed = True
        return content

    @property
    def cache(self) -> Dict[str, Dict[str, Any]]:
        if self._cache is None:
            self._cache = paths.read_private(paths.RENDER_CACHE)
        return self._cache

    def save(self) -> None:
        if self._changed:
            newest = dict(list(self.cache.items())[-ENTRIES_KEPT:])
            paths.write_private(paths.RENDER_CACHE, json.dumps(newest).encode())

    def _environment(self, cookbook: str) -> jinja2.Environment:
        if cookbook not in self._environments:
            import jinja2

            self._environments[cookbook] = jinja2.Environment(
                loader=jinja2.FileSystemLoader(f"{self.cookbooks.directory(cookbook)}/templates"),
                undefined=jinja2.StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                keep_trailing_newline=True,
                autoescape=False,
            )
        return self._environments[cookbook]

    def _explained(self, error: jinja2.TemplateError, cookbook: str, name: str) -> CookbookError:
        """Template, line and excerpt of a jinja2 error, without its stack."""
        path = f"{self.cookbooks.directory(cookbook)}/templates/{name}"
        line = getattr(error, "lineno", None) or self._raised_in(error, path)
        where = f"cookbooks/{cookbook}/templates/{name}" + (f":{line}" if line else "")
        parts: List[str] = [f"{where}: {error.message or error}"]
        if line:
            parts.append(origin.excerpt(path, line))
        return CookbookError("\n".join(parts))

    @staticmethod
    def _raised_in(error: BaseException, path: str) -> Optional[int]:
        traceback, line = error.__traceback__, None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == path:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line


def _plain(value: Any) -> Dict[str, Any]:
    """Attributes and instances of the snapshot, which recipes hand on to their templates, as JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not")
