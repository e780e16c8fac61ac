"""What the kinds have in common that change a part of a file that somebody else owns: LineInFile, BlockInFile, IniSetting."""

from __future__ import annotations

from typing import Any, List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.managed_file import verifier
from cookline.host.resources.ownership import absolute_path, restore_context
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import System


class EditedFile(Resource):
    """A part of a file; the rest of it, its mode and owner stay as they are. Subclasses name the part and edit the text.

    path        the file
    create      make the file when it is not there, 0644 root; else that is an error
    verify      a command, or several, run on the staged file `%{path}`; if one fails, nothing has changed
    backup      keep the last five contents
    exists      False removes the part
    """

    path: str
    create: bool = field(default=False, kw_only=True)
    verify: Any = field(default=(), kw_only=True)
    backup: bool = field(default=True, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        kind = type(self).__name__
        verify = (self.verify,) if isinstance(self.verify, str) else tuple(self.verify or ())
        if any("%{path}" not in command for command in verify):
            raise ResourceUsageError(f"{kind}[{self.path}]: `verify` needs %{{path}}, where the staged file is put")
        self._set(path=absolute_path(kind, self.path), verify=verify)

    def edited(self, text: str) -> str:
        """`text` as it must be; the same text when nothing is to be done. Editing twice is editing once."""
        raise NotImplementedError

    def found(self, text: str) -> Any:
        """What stands in `text`, as `desired` has it; None when it is not there."""
        raise NotImplementedError

    def wanted(self) -> Any:
        """What shall stand there when it exists."""
        raise NotImplementedError

    @property
    def part(self) -> str:
        """The field of the states: line, block or value."""
        raise NotImplementedError

    def current(self, host: System) -> State:
        content = host.read(self.path)
        self._look_at_plan(host, content)
        if content is None:
            return {self.part: None}
        text = decoded(plain(content))
        return {self.part: self.desired()[self.part] if self.edited(text) == text else self.found(text)}

    def _look_at_plan(self, host: System, content: Optional[bytes]) -> None:
        """In a plan, what an earlier resource would write decides. Raises CannotKnow."""
        cause = host.unforeseen(self.path) if content is None else ""
        if cause and not self.create:
            raise CannotKnow(f"{self.path} does not exist yet; {cause} before it may bring it")

    def desired(self) -> State:
        return {self.part: self.wanted() if self.exists else None}

    def apply(self, host: System, changes: Changes) -> None:
        content = host.read(self.path)
        if content is None and not self.create:
            raise ResourceError(f"{self.path} does not exist", hint=f"put File({self.path!r}) or its package before")
        check = verifier(host, self.path, self.verify, self.timeout) if self.verify else None
        host.write(self.path, self.edited_bytes(content or b""), verify=check, backup=self.backup)
        restore_context(host, self.path)

    def edited_bytes(self, content: bytes) -> bytes:
        """The file's new content; lines that are new end as the others do."""
        text = plain(content)
        new = encoded(self.edited(decoded(text)))
        return new if text == content else new.replace(b"\n", b"\r\n")

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The file comes back as it was: content, mode, owner and group."""
        return path_as_it_is(host, host.real_path(self.path))

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        content = host.read(self.path)
        if self.sensitive or (content is None and not self.create):
            return None
        return unified_diff(self.path, content or b"", self.edited_bytes(content or b""))

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.path]

    def declaration(self) -> Any:
        return {name: value for name, value in super().declaration().items() if name not in ("verify", "backup", "timeout")}


def plain(content: bytes) -> bytes:
    """The content with plain ends of lines, where all of them are those of DOS; a mixture stays as it is."""
    count = content.count(b"\r\n")
    return content.replace(b"\r\n", b"\n") if count and count == content.count(b"\n") else content


def decoded(content: bytes) -> str:
    """Text that keeps every byte of files that are no UTF-8."""
    return content.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    """For a report: what is no UTF-8 becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
