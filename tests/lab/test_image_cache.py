"""Where images are built and kept: a disk that is full, a mirror that has put the release away."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cookline.control.providers.container.image import ensure, recipe
from cookline.errors import DiskFull, RunError

pytestmark = pytest.mark.lab


def quiet(_: str) -> None:
    """Progress that nobody reads."""


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def empty_mirror(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "debian").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/debian"
        server.shutdown()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named_and_nothing_half_built_stays_on_it(full_disk: Path) -> None:
    with pytest.raises(DiskFull, match=f"the disk of {full_disk} is full: the image debian-12 takes"):
        ensure("debian-12", full_disk, quiet)
    assert [path.name for path in (full_disk / "images").iterdir()] == [f"{recipe('debian-12').hash}.lock"]


def test_a_mirror_that_has_put_the_release_away_is_told_with_where_it_went(
    empty_mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOKLINE_DEBIAN_MIRROR", empty_mirror)
    with pytest.raises(RunError, match="bullseye Release' does not have a Release file") as caught:
        ensure("debian-11", tmp_path, quiet)
    assert "COOKLINE_DEBIAN_MIRROR=http://archive.debian.org/debian" in str(caught.value.hint)
