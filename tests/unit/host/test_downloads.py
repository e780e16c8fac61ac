"""RemoteFile against a server of the test's own: resuming, mirrors, redirects, limits, asking whether a file is newer."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cookline.errors import ResourceError
from cookline.host import download, system
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import differences
from cookline.host.resources.remote_file import RemoteFile
from cookline.host.system import System

HOST = System()


class Server(ThreadingHTTPServer):
    """Serves `content` with `etag`, and cuts the next `cuts` answers off; `asked` are path and headers of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.cuts = b"x" * 5000, '"1"', 0
        self.redirect = ""
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, headers = self.server, {name.lower(): value for name, value in self.headers.items()}
        server.asked.append({"path": self.path, **headers})
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.etag and headers.get("if-none-match") == server.etag:
            self.send_response(304)
            self.end_headers()
            return
        begin = 0
        if "range" in headers and headers.get("if-range") == server.etag:
            begin = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(server.content) - begin))
        self.end_headers()
        body = server.content[begin:]
        if server.cuts:
            server.cuts, body = server.cuts - 1, body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(system, "BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setattr(download, "DIRECTORY", str(tmp_path / "remote"))
    return tmp_path / "remote"


def remote(path: Path, *url: str, **fields: Any) -> RemoteFile:
    return RemoteFile(str(path), url, owner=os.getuid(), group=os.getgid(), **fields)


def converge(file: RemoteFile) -> bool:
    changes = differences(file.current(HOST), file.desired())
    if changes:
        file.apply(HOST, changes)
        assert differences(file.current(HOST), file.desired()) == {}
    return bool(changes)


def test_a_download_that_is_cut_off_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = 2
    assert converge(remote(tmp_path / "a", server.url))
    assert (tmp_path / "a").read_bytes() == server.content
    assert [each.get("range") for each in server.asked] == [None, "bytes=2500-", "bytes=3750-"]


def test_a_download_goes_on_in_the_next_run(server: Server, tmp_path: Path) -> None:
    server.cuts = 3
    with pytest.raises(ResourceError, match="ended after 4375 bytes of 5000"):
        converge(remote(tmp_path / "a", server.url))
    assert not (tmp_path / "a").exists()
    assert converge(remote(tmp_path / "a", server.url))
    assert server.asked[-1]["range"] == "bytes=4375-"


def test_a_file_that_changed_in_between_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.cuts = 3
    with pytest.raises(ResourceError):
        converge(remote(tmp_path / "a", server.url))
    server.content, server.etag = b"y" * 100, '"2"'
    assert converge(remote(tmp_path / "a", server.url))
    assert (tmp_path / "a").read_bytes() == b"y" * 100


def test_a_known_hash_needs_no_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(server.content)
    assert not converge(remote(tmp_path / "a", server.url, sha256=hashlib.sha256(server.content).hexdigest()))
    assert server.asked == []


def test_the_next_mirror_serves_when_one_is_down_or_has_something_else(server: Server, tmp_path: Path) -> None:
    wanted = hashlib.sha256(b"good").hexdigest()
    with Server() as good:
        good.content = b"good"
        thread = threading.Thread(target=good.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        converge(remote(tmp_path / "a", "http://127.0.0.1:9/file", server.url, good.url, sha256=wanted))
        good.shutdown()
        thread.join()
    assert (tmp_path / "a").read_bytes() == b"good"


def test_it_is_asked_by_etag_whether_the_file_is_newer(server: Server, tmp_path: Path) -> None:
    file = remote(tmp_path / "a", server.url)
    assert converge(file)
    server.asked.clear()
    assert not converge(remote(tmp_path / "a", server.url))
    assert [each.get("if-none-match") for each in server.asked] == ['"1"']
    server.content, server.etag = b"new", '"2"'
    assert remote(tmp_path / "a", server.url).current(HOST)["content"] == "older than what is served"
    assert converge(remote(tmp_path / "a", server.url))
    assert (tmp_path / "a").read_bytes() == b"new"


def test_without_etag_and_date_all_is_compared(server: Server, tmp_path: Path) -> None:
    server.etag = ""
    assert converge(remote(tmp_path / "a", server.url))
    assert not converge(remote(tmp_path / "a", server.url))
    server.content = b"new"
    assert converge(remote(tmp_path / "a", server.url))


def test_a_plan_without_a_server_cannot_know_and_a_drift_check_asks_none(server: Server, tmp_path: Path) -> None:
    file = remote(tmp_path / "a", server.url)
    converge(file)
    asked = len(server.asked)
    stored = RemoteFile.from_declaration(file.declaration())
    assert differences(stored.current(System(apply=False)), file.desired()) == {}
    assert len(server.asked) == asked
    (tmp_path / "b").write_text("b")
    with pytest.raises(CannotKnow, match="cannot be fetched"):
        remote(tmp_path / "b", "http://127.0.0.1:9/file").current(System(apply=False))


def test_redirects_are_followed_without_what_was_meant_for_the_first_server(server: Server, tmp_path: Path) -> None:
    server.redirect = "/file"
    converge(remote(tmp_path / "a", server.url.replace("/file", "/moved"), headers={"Authorization": "Bearer x"}))
    assert server.asked[-1]["authorization"] == "Bearer x"
    server.redirect = server.url.replace("127.0.0.1", "localhost")
    converge(remote(tmp_path / "b", server.url.replace("/file", "/moved"), headers={"Authorization": "Bearer x"}))
    assert server.asked[-1]["path"] == "/file" and "authorization" not in server.asked[-1]
    server.redirect = "file:///etc/passwd"
    with pytest.raises(ResourceError, match="redirects to file:///etc/passwd, which is not followed"):
        converge(remote(tmp_path / "c", server.url.replace("/file", "/moved")))


def test_what_is_too_large_is_not_kept(server: Server, tmp_path: Path, state: Path) -> None:
    with pytest.raises(ResourceError, match="is larger than 4999 bytes"):
        converge(remote(tmp_path / "a", server.url, max_bytes=4999))
    assert not (tmp_path / "a").exists() and list(state.iterdir()) == []


def test_proxy_variables_are_not_read(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert converge(remote(tmp_path / "a", server.url))
    assert converge(remote(tmp_path / "b", "http://example.invalid/file", proxy=server.url.removesuffix("/file")))
    assert server.asked[-1]["path"] == "http://example.invalid/file"
