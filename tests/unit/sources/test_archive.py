"""Sources of type archive from a real HTTP server on the loopback, and of type s3 from moto's."""

from __future__ import annotations

import base64
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cookline.control.sources import download
from cookline.control.sources.fetch import Kept
from cookline.control.sources.unpack import entries
from cookline.control.stack.artifact import Artifact
from cookline.errors import SourceError
from cookline.protocol import content_hash
from tests.unit.sources.conftest import Freeze, files, tar

SHOP = {"shop-1.0/app.py": b"ONE\n", "shop-1.0/site/index.html": b"<p>\n", "shop-1.0/.git/config": b"x"}


class Server(ThreadingHTTPServer):
    """`pages` maps paths to (status, headers, body); `asked` keeps the headers of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def page(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        self.pages[path] = (status, headers, body)
        return self.url + path


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def test_every_kind_of_archive_gives_the_same_artifact(freeze: Freeze, server: Server) -> None:
    made = {mode: tar(SHOP, mode) for mode in ("w:", "w:gz", "w:bz2", "w:xz")} | {"zip": zipped(SHOP)}
    revisions = [freeze(f"type: archive, url: '{server.page('/' + kind, body)}', strip: 1") for kind, body in made.items()]
    assert len({revision.trees["app:shop"] for revision in revisions}) == 1
    assert files(revisions[0]) == {
        "app.py": ("0644", b"ONE\n"),
        "site": ("directory", b""),
        "site/index.html": ("0644", b"<p>\n"),
    }
    assert revisions[1].sources["shop"] == {"archive_sha256": content_hash(made["w:gz"])}


def test_a_sha256_is_checked_and_then_saves_the_way(freeze: Freeze, server: Server) -> None:
    body = tar(SHOP)
    url = server.page("/shop.tgz", body)
    with pytest.raises(SourceError, match=r"has the sha256 .* not 0000"):
        freeze(f"type: archive, url: '{url}', sha256: '{'0' * 64}'")
    source = f"type: archive, url: '{url}', sha256: '{content_hash(body)}'"
    before = freeze(source)
    [[_name, _mode, sha256]] = before.manifests[before.trees["app:shop"]]
    kept_source = before.stack.apps["shop"].source
    assert kept_source is not None
    kept = Kept(kept_source.plain(), before.sources["shop"], lambda: Artifact(b"kept", sha256))
    asked = len(server.asked)
    assert freeze(source, kept=lambda stack, app: kept).hash == before.hash
    assert len(server.asked) == asked


def test_credentials_go_to_their_host_alone(freeze: Freeze, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-token")
    storage = server.page("/storage", tar(SHOP)).replace("127.0.0.1", "localhost")
    url = server.page("/shop.tgz", status=302, Location=storage)
    freeze(f"type: archive, url: '{url}', user: ann, password: !secret env:TOKEN")
    (_, first), (_, second) = server.asked
    assert first["Authorization"] == "Basic " + base64.b64encode(b"ann:s3cr3t-token").decode()
    assert "Authorization" not in second


def test_proxies_of_the_environment_are_not_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert download.fetch(server.page("/x", b"here")) == b"here"


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254, an address that no source is fetched from"),
        ("http://[fe80::1]/x", "fe80::1, an address that no source is fetched from"),
        ("http://[::ffff:169.254.169.254]/x", "an address that no source is fetched from"),
        ("http://[fd00:ec2::254]/x", "an address that no source is fetched from"),
        ("file:///etc/passwd", "is no address of http or https"),
        ("ftp://127.0.0.1/x", "is no address of http or https"),
        ("gopher:x", "is no address of http or https"),
        ("/again", "redirects more than 5 times"),
    ],
)
def test_a_redirect_leads_nowhere_that_it_should_not(server: Server, location: str, sentence: str) -> None:
    server.page("/again", status=302, Location="/again")
    with pytest.raises(SourceError) as caught:
        download.fetch(server.page("/start", status=302, Location=location))
    assert sentence in str(caught.value)


def test_a_redirect_from_outside_does_not_come_inside(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real = download._is_inside
    monkeypatch.setattr(download, "_is_inside", lambda address: real(address) and str(address) != "127.0.0.1")
    url = server.page("/start", status=302, Location=server.page("/x", b"").replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(SourceError, match=r"which is 127\.0\.0\.2: inside, from outside"):
        download.fetch(url)


def test_too_much_is_refused_before_and_while_it_comes(server: Server) -> None:
    with pytest.raises(SourceError, match="has more than 0 MB"):
        download.fetch(server.page("/a", b"x" * 2000), limit=1000)
    with pytest.raises(SourceError, match="has more than 0 MB"):
        download.fetch(server.page("/b", b"x" * 2000, **{"Content-Length": "", "Connection": "close"}), limit=1000)


@pytest.mark.parametrize(
    ("status", "sentence"), [(404, "answers 404 Not Found"), (401, "give `user` and `password`"), (500, "answers 500")]
)
def test_a_server_that_refuses(freeze: Freeze, server: Server, status: int, sentence: str) -> None:
    with pytest.raises(SourceError) as caught:
        freeze(f"type: archive, url: '{server.page('/x', status=status)}'")
    assert sentence in str(caught.value)


def test_nobody_listens_and_nobody_is_called_so() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        download.fetch("http://127.0.0.1:1/x")
    with pytest.raises(SourceError, match="has no address"):
        download.fetch("http://nobody.invalid/x")


# -- hostile archives ------------------------------------------------------------------------------------------------------


def member(kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644, size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo("x")
    made.type, made.linkname, made.mode, made.size = kind, target, mode, size
    return made


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ({"../x": b""}, "leads out of the archive"),
        ({"/etc/x": b""}, "leads out of the archive"),
        ({"a/../../x": b""}, "leads out of the archive"),
        ({"x": member(tarfile.CHRTYPE)}, "is a device or a pipe"),
        ({"x": member(tarfile.FIFOTYPE)}, "is a device or a pipe"),
        ({"x": member(mode=0o4755)}, "setuid"),
        ({"x": member(tarfile.SYMTYPE, "dir"), "x/y": b""}, "lies behind 'x', which is no folder"),
        ({"x": member(tarfile.LNKTYPE, "/etc/passwd")}, "leads out of the archive"),
        ({"x": member(tarfile.LNKTYPE, "y")}, "which is no file before it"),
        ({"x": b"1", "./x": b"2"}, "stands twice"),
        ({"empty": member(tarfile.DIRTYPE), ".git/config": b""}, None),
        ({".git/config": b""}, "holds no files"),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, dict) else str(value),
)
def test_a_member_that_must_not_be_unpacked(contents: dict[str, Any], sentence: str | None) -> None:
    if sentence is None:
        assert [entry.path for entry in entries(tar(contents), "x.tgz")] == ["empty"]
        return
    with pytest.raises(SourceError) as caught:
        entries(tar(contents), "x.tgz")
    assert sentence in str(caught.value)


def test_a_link_out_of_the_archive_is_refused(freeze: Freeze, server: Server) -> None:
    for target in ("/etc/passwd", "../../etc/passwd"):
        url = server.page("/x", tar({"a/b": member(tarfile.SYMTYPE, target)}))
        with pytest.raises(Exception, match="leads out of the app's source"):
            freeze(f"type: archive, url: '{url}'")


def test_a_zip_that_lies_and_one_that_climbs() -> None:
    with pytest.raises(SourceError, match="leads out"):
        entries(zipped({"../x": b""}), "x.zip")
    with pytest.raises(SourceError, match="no archive that can be read"):
        entries(zipped({"x": b"hello" * 100})[:-40], "x.zip")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8bbroken", b"BZhbroken", b"\xfd7zXZ\0broken", b"PK\x03\x04broken"])
def test_what_is_no_archive(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"is no archive|holds no files"):
        entries(content, "x")


def test_a_bomb_is_refused_while_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tar({"x": member(size=8 * 1024**2)})
    assert len(bomb) < 20_000
    from cookline.control.sources import unpack

    monkeypatch.setattr(unpack, "LARGEST_SOURCE", 1024**2)
    with pytest.raises(SourceError, match="has at most 1 MB"):
        entries(bomb, "x.tgz")
    monkeypatch.setattr(unpack, "LARGEST_SOURCE", 1024**3)
    monkeypatch.setattr(unpack, "LARGEST_TAR", 1024**2)
    with pytest.raises(SourceError, match="unpacks to more than 1 MB"):
        entries(bomb, "x.tgz")


# -- S3 --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(aws: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """Puts an object and returns a source for it, without its key."""
    import boto3

    monkeypatch.setenv("S3_ACCESS", "access-key-of-a-test")
    monkeypatch.setenv("S3_SECRET", "secret-key-of-a-test")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", "us-east-1", endpoint_url=aws, aws_access_key_id="a", aws_secret_access_key="b")
    client.create_bucket(Bucket="shop-releases")
    client.put_bucket_versioning(Bucket="shop-releases", VersioningConfiguration={"Status": "Enabled"})

    def put(content: bytes) -> str:
        client.put_object(Bucket="shop-releases", Key="shop.tgz", Body=content)
        return f"type: s3, bucket: shop-releases, endpoint: '{aws}', region: us-east-1"

    return put


KEYS = "access_key: !secret env:S3_ACCESS, secret_key: !secret env:S3_SECRET"


def test_an_object_of_s3_and_an_older_version_of_it(freeze: Freeze, bucket: Callable[[bytes], str]) -> None:
    source = bucket(tar({"app.py": b"ONE\n"}))
    first = freeze(f"{source}, key: shop.tgz, {KEYS}")
    bucket(tar({"app.py": b"TWO\n"}))
    assert files(freeze(f"{source}, key: shop.tgz, {KEYS}"))["app.py"] == ("0644", b"TWO\n")
    version = first.sources["shop"]["version"]
    old = freeze(f"{source}, key: shop.tgz, version: '{version}', {KEYS}")
    assert old.trees == first.trees


def test_what_s3_does_not_have_and_whom_it_does_not_know(freeze: Freeze, bucket: Callable[[bytes], str]) -> None:
    source = bucket(b"x")
    with pytest.raises(SourceError, match=r"s3://shop-releases/other\.tgz cannot be read: .*NoSuchKey"):
        freeze(f"{source}, key: other.tgz, {KEYS}")
    with pytest.raises(SourceError, match="Unable to locate credentials") as caught:
        freeze(f"{source}, key: shop.tgz")
    assert "access_key" in str(caught.value.hint)
