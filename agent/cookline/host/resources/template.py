"""Template: a file rendered from a jinja2 template of a cookbook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping, Optional

from cookline.errors import ResourceUsageError
from cookline.host.resources.base import field
from cookline.host.resources.managed_file import ManagedFile

if TYPE_CHECKING:
    from cookline.host.resources.scope import Scope


class Template(ManagedFile):
    """A file rendered from `templates/SOURCE` of this cookbook, or of another as "cookbook:name".

    source      name below `templates/`; by default the last part of the path with ".j2"
    values      names that the template sees beside `node`
    All other fields are ManagedFile's: mode, owner, group, verify, backup, create_if_missing, exists.

    It is rendered only when an input changed: its hash is kept on the host between runs.

    >>> Template("/etc/nginx/conf.d/shop.conf", values={"port": 80})
    Template('/etc/nginx/conf.d/shop.conf', source='shop.conf.j2', values={'port': 80})
    """

    source: Optional[str] = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(source=self.source or f"{os.path.basename(self.path)}.j2")

    def bind(self, scope: Scope) -> Any:
        if not self.exists:
            return self
        return self._bound(content_sha256=scope.rendered_hash(str(self.source), self.values), _scope=scope)

    def content_bytes(self) -> bytes:
        scope: Optional[Scope] = getattr(self, "_scope", None)
        if scope is None:
            raise ResourceUsageError(f"{self.name} has no content before node.ensure has bound it to its cookbook")
        return scope.render(str(self.source), self.values)
