"""HttpRequest against a server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cookline import HttpRequest, System
from cookline.errors import ResourceError
from cookline.host.resources.http_request import refuse_link_local


class Handler(BaseHTTPRequestHandler):
    """Answers /to?TARGET with a redirect, all else with what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        content = f"{self.command} {self.path} {self.headers.get('Content-Type')} {self.rfile.read(length).decode()}".encode()
        path, _, target = self.path.partition("?")
        self.send_response(302 if path == "/to" else 503 if path == "/busy" else 200)
        if path == "/to":
            self.send_header("Location", target)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def ask(request: HttpRequest) -> None:
    request.apply(System(), {})


def test_a_body_that_is_no_text_is_sent_as_json(server: str) -> None:
    ask(HttpRequest(f"{server}/hook?a=b", method="POST", body={"a": 1}, expect='POST /hook?a=b application/json {"a": 1}'))


def test_redirects_stay_on_the_host(server: str) -> None:
    ask(HttpRequest(f"{server}/to?/there", expect="GET /there"))
    with pytest.raises(ResourceError, match="redirects to http://localhost:1/x, another host or scheme; it is not followed"):
        ask(HttpRequest(f"{server}/to?http://localhost:1/x"))
    with pytest.raises(ResourceError, match="another host or scheme"):
        ask(HttpRequest(f"{server}/to?file:///etc/passwd"))
    with pytest.raises(ResourceError, match="redirects more than 5 times"):
        ask(HttpRequest(f"{server}/to?/to?/to?/to?/to?/to?/to?/to"))


def test_no_proxy_of_the_environment_is_asked(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    ask(HttpRequest(f"{server}/direct", expect="GET /direct"))


def test_answers_that_are_not_as_expected(server: str) -> None:
    with pytest.raises(ResourceError, match=r"/busy answered 503, not 200 or 201 or 202 or 204:\nGET /busy"):
        ask(HttpRequest(f"{server}/busy"))
    with pytest.raises(ResourceError, match="answered 200, but without 'fine'"):
        ask(HttpRequest(f"{server}/health", expect="fine"))
    ask(HttpRequest(f"{server}/busy", status=503))


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0"])
def test_link_local_addresses_are_refused(address: str) -> None:
    with pytest.raises(ResourceError, match="nothing is sent there"):
        refuse_link_local(address, "http://metadata")
