"""CookbookFile: a file out of a cookbook's files/ folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

from cookline.errors import ResourceUsageError
from cookline.host.resources.managed_file import ManagedFile
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.resources.scope import Scope


class CookbookFile(ManagedFile):
    """A file copied as it is out of `files/` of this cookbook, or of another as "cookbook:name".

    source      name below `files/`; by default the last part of the path
    All other fields are ManagedFile's: mode, owner, group, verify, backup, create_if_missing, exists.

    >>> CookbookFile("/etc/nginx/mime.types", mode="0644")
    CookbookFile('/etc/nginx/mime.types', mode='0644', source='mime.types')
    """

    source: Optional[str] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(source=self.source or os.path.basename(self.path))

    def bind(self, scope: Scope) -> Any:
        if not self.exists:
            return self
        content = scope.file(str(self.source))
        return self._bound(content_sha256=content_hash(content), _content=content)

    def content_bytes(self) -> bytes:
        content: Optional[bytes] = getattr(self, "_content", None)
        if content is None:
            raise ResourceUsageError(f"{self.name} has no content before node.ensure has bound it to its cookbook")
        return content
