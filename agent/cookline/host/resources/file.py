"""File: a file whose content the recipe gives."""

from __future__ import annotations

from typing import Union

from cookline.errors import ResourceUsageError
from cookline.host.resources.managed_file import ManagedFile
from cookline.protocol import content_hash


class File(ManagedFile):
    """A regular file. It is written beside its place, synced, owned, verified and then renamed: whole or not at all.

    content     text (UTF-8) or bytes; None manages only that the file is there, its mode and owner
    All other fields are ManagedFile's: mode, owner, group, verify, backup, create_if_missing, exists.

    >>> File("/etc/motd", "Welcome\\n", mode="0644")
    File('/etc/motd', mode='0644', content='Welcome\\n')
    >>> File("/etc/sudoers.d/ops", "%ops ALL=(ALL) ALL\\n", verify="visudo -cf %{path}").verify
    ('visudo -cf %{path}',)
    >>> File("/etc/motd", exists=False).desired()
    {'exists': False}
    """

    content: Union[str, bytes, None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.content is not None and not isinstance(self.content, (str, bytes)):
            raise ResourceUsageError(f"File[{self.path}] has content of type {type(self.content).__name__}; give text or bytes")
        if self.content is not None:
            self._set(content_sha256=content_hash(self.content_bytes()))

    def content_bytes(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content or b""
