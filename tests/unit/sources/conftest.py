"""A stack with one app, whose source is what a test says."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cookline.control.sources.fetch import Fetcher
from cookline.control.stack.loading import load_stack
from cookline.control.stack.revision import Revision, frozen

Freeze = Callable[..., Revision]


@pytest.fixture
def freeze(tmp_path: Path) -> Freeze:
    """`freeze("type: git, url: ..")` is the revision of a stack whose app `shop` has this source."""

    def make(source: str, **options: object) -> Revision:
        file = tmp_path / "shop.yml"
        file.write_text(f"stack: shop\nlayers: {{app: {{}}}}\napps:\n  shop: {{layers: [app], source: {{{source}}}}}\n")
        return frozen(load_stack(file), Fetcher(tmp_path / ".cookline", **options))  # type: ignore[arg-type]

    return make


def files(revision: Revision) -> dict[str, tuple[str, bytes]]:
    """{path: (mode or "link" or "directory", content or target)} of the app's artifact."""
    [[_name, _mode, sha256]] = revision.manifests[revision.trees["app:shop"]]
    [content] = [blob.read() for blob in revision.blobs if blob.sha256 == sha256]
    found: dict[str, tuple[str, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        for member in opened:
            assert (member.mtime, member.uid, member.uname) == (0, 0, "")
            if member.isdir():
                found[member.name] = ("directory", b"")
            elif member.issym():
                found[member.name] = ("link", member.linkname.encode())
            else:
                stream = opened.extractfile(member)
                assert stream is not None
                found[member.name] = (f"{member.mode:04o}", stream.read())
    return found


def tar(contents: Mapping[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    """An archive; a value is a file's content, or a whole member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as opened:  # type: ignore[call-overload]
        for name, value in contents.items():
            if isinstance(value, tarfile.TarInfo):
                value.name = name
                opened.addfile(value, io.BytesIO(b"\0" * value.size))
            else:
                member = tarfile.TarInfo(name)
                member.size, member.mtime = len(value), 1_700_000_000
                opened.addfile(member, io.BytesIO(value))
    return buffer.getvalue()
