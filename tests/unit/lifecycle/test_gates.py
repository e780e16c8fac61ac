"""Gates against a real server: statuses, redirects, where they must not lead."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cookline.control.lifecycle.gates import Gate, Reach, passes
from cookline.errors import UsageError

VALUES = {"name": "app1", "address": "127.0.0.1", "private_address": "127.0.0.1"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(self.path.strip("/") or 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(text: str, within: float = 0.1) -> str | None:
    def nowhere(name: str) -> Any:
        raise AssertionError(name)

    return passes(Gate.parse(text), VALUES, Reach(nowhere, nowhere), within, lambda: False)


@pytest.mark.parametrize("status", [200, 204])
def test_a_status_of_2xx_passes(port: int, status: int) -> None:
    assert ask(f"http://{{address}}:{port}/{status}") is None


@pytest.mark.parametrize(
    ("status", "said"), [(404, "answered 404"), (500, "answered 500"), (302, "redirects are not followed")]
)
def test_other_statuses_do_not(port: int, status: int, said: str) -> None:
    assert said in str(ask(f"http://127.0.0.1:{port}/{status}"))


def test_no_proxy_of_the_environment_is_asked(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(f"http://127.0.0.1:{port}/200") is None


def test_nobody_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "refused" in str(ask(f"http://127.0.0.1:{free.getsockname()[1]}/"))


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0"])
def test_link_local_addresses_are_not_asked(host: str) -> None:
    assert "link-local" in str(ask(f"http://{host}/latest/meta-data"))


def test_a_name_is_judged_by_where_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    place = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: place)
    assert "link-local" in str(ask("http://innocent.example/"))


def test_commands_here_by_their_exit_status() -> None:
    assert ask("command:test {name} = app1") is None
    assert ask("command:echo no luck >&2; exit 3") == "`echo no luck >&2; exit 3` ended with 3: no luck"


def test_values_are_quoted_for_the_shell() -> None:
    gate = Gate.parse("command:test {name} = 'a; exit 1'")
    assert passes(gate, {**VALUES, "name": "a; exit 1"}, lambda name: None, 0.1, lambda: False) is None  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("text", ["", "http://", "gopher://x/", "ssh:", "http://me:secret@x/", "http://{nme}/", "http://{/"])
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Gate.parse(text)
