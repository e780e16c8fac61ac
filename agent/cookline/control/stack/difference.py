"""What one revision has otherwise than another: values of the definitions, and files of cookbooks and apps."""

from __future__ import annotations

import difflib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookline.control.stack.artifact import ARTIFACT
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision

# Reads a content of either revision by its sha256 (the store's blobs).
Read = Callable[[str], bytes]

# A longer text is told as changed, without its lines.
LARGEST_TEXT = 512 * 1024


@dataclass(frozen=True)
class ValueChange:
    """One value of a definition; `where` as "layers.app.shutdown_timeout". None stands for "not there" (or the default)."""

    where: str
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        return _kind(self.before, self.after)


@dataclass(frozen=True)
class FileChange:
    """One file of a cookbook or app (`part`: "cookbook:nginx", "app:shop"). Modes are "0644", "0755" or "link".

    `diff` is a unified diff of texts, empty when only the mode changed, None for what is no text.
    """

    part: str
    path: str
    before: str | None
    after: str | None
    diff: str | None

    @property
    def kind(self) -> str:
        return _kind(self.before, self.after)


@dataclass(frozen=True)
class Difference:
    values: tuple[ValueChange, ...]
    files: tuple[FileChange, ...]

    def __bool__(self) -> bool:
        return bool(self.values or self.files)


def compare(before: Revision, after: Revision, read: Read) -> Difference:
    """Everything that `after` has otherwise than `before`, in the order of the definition."""
    values = [*_values("", before.stack.compact(), after.stack.compact()), *_sources(before, after)]
    files = [
        change
        for part in dict.fromkeys([*before.trees, *after.trees])
        if before.trees.get(part) != after.trees.get(part)
        for change in _files(part, _Tree(before, part, read), _Tree(after, part, read))
    ]
    return Difference(tuple(values), tuple(files))


def _kind(before: Any, after: Any) -> str:
    return "added" if before is None else "removed" if after is None else "changed"


def _values(where: str, before: Any, after: Any) -> Iterator[ValueChange]:
    if before == after:
        return
    if not isinstance(before, dict) or not isinstance(after, dict) or "!secret" in before or "!secret" in after:
        yield ValueChange(where, before, after)
        return
    for name in dict.fromkeys([*before, *after]):
        yield from _values(f"{where}.{name}" if where else str(name), before.get(name), after.get(name))


def _sources(before: Revision, after: Revision) -> Iterator[ValueChange]:
    """What the sources stood at: the commit of a branch that moved, and such."""
    for app in dict.fromkeys([*before.sources, *after.sources]):
        old, new = before.sources.get(app, {}), after.sources.get(app, {})
        if old and new:
            yield from _values(f"apps.{app}.source", dict(old), dict(new))


@dataclass(frozen=True)
class _File:
    mode: str
    sha256: str
    content: bytes | None = None


class _Tree:
    """The files of one cookbook or app of a revision, {path: _File}; none when the revision does not have it."""

    def __init__(self, revision: Revision, part: str, read: Read) -> None:
        tree = revision.trees.get(part)
        manifest = revision.manifests[tree] if tree else []
        self._read = read
        if part.startswith("app:") and manifest:
            [[_name, _mode, sha256]] = [entry for entry in manifest if entry[0] == ARTIFACT]
            self.files: Mapping[str, _File] = dict(_members(read(sha256)))
        else:
            self.files = {path: _File(mode, sha256) for path, mode, sha256 in manifest}

    def content(self, path: str) -> bytes:
        file = self.files.get(path)
        if file is None:
            return b""
        return file.content if file.content is not None else self._read(file.sha256)


def _members(archive: bytes) -> Iterator[tuple[str, _File]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            if member.issym():
                content = member.linkname.encode()
                yield member.name, _File("link", content_hash(content), content)
            elif member.isreg():
                stream = opened.extractfile(member)
                content = stream.read() if stream else b""
                yield member.name, _File(f"{member.mode:04o}", content_hash(content), content)


def _files(part: str, before: _Tree, after: _Tree) -> Iterator[FileChange]:
    for path in sorted({*before.files, *after.files}):
        old, new = before.files.get(path), after.files.get(path)
        if old and new and (old.mode, old.sha256) == (new.mode, new.sha256):
            continue
        diff = text_diff(path, before.content(path) if old else None, after.content(path) if new else None)
        yield FileChange(part, path, old.mode if old else None, new.mode if new else None, diff)


def text_diff(path: str, before: bytes | None, after: bytes | None) -> str | None:
    """A unified diff, or None when either side is no text or too long to be read as one."""
    sides: list[list[str]] = []
    for content in (before or b"", after or b""):
        if len(content) > LARGEST_TEXT or b"\0" in content:
            return None
        try:
            sides.append(content.decode("utf-8").splitlines(keepends=True))
        except UnicodeDecodeError:
            return None
    old_name, new_name = (
        f"{side}/{path}" if there else "/dev/null" for side, there in (("a", before is not None), ("b", after is not None))
    )
    lines = difflib.unified_diff(sides[0], sides[1], old_name, new_name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
