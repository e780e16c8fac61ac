"""The D-Bus marshalling, against bytes of the specification and against itself; a call against a peer on a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookline.host import dbus


@pytest.mark.parametrize(
    ("signature", "types"),
    [
        ("", []),
        ("ssa(sv)a(sa(sv))", ["s", "s", "a(sv)", "a(sa(sv))"]),
        ("a{sv}(ii)v", ["a{sv}", "(ii)", "v"]),
        ("aas", ["aas"]),
    ],
)
def test_signature_splits_into_complete_types(signature: str, types: list[str]) -> None:
    assert dbus.split_signature(signature) == types


@pytest.mark.parametrize("signature", ["a", "(s", "a{s", "k", "(s)k"])
def test_broken_signature_is_refused(signature: str) -> None:
    with pytest.raises(ValueError):
        dbus.split_signature(signature)


def test_known_bytes() -> None:
    assert dbus.marshal("ys", [7, "ab"]) == b"\x07\0\0\0\x02\0\0\0ab\0"
    assert (
        dbus.marshal("at", [[1]]) == b"\x08\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"
    )  # padding before the first element is not counted
    assert dbus.marshal("as", [[]]) == b"\0\0\0\0"
    assert dbus.marshal("v", [("u", 3)]) == b"\x01u\0\0\x03\0\0\0"


def test_transient_unit_call_round_trip() -> None:
    arguments = [
        "cookline-run-1.scope",
        "fail",
        [("PIDs", ("au", [4711])), ("Description", ("s", "a run")), ("CollectMode", ("s", "inactive-or-failed"))],
        [],
    ]
    read = dbus.unmarshal("ssa(sv)a(sa(sv))", dbus.marshal("ssa(sv)a(sa(sv))", arguments))
    assert read[2] == [("PIDs", [4711]), ("Description", "a run"), ("CollectMode", "inactive-or-failed")]
    assert (read[0], read[1], read[3]) == ("cookline-run-1.scope", "fail", [])


@given(
    st.tuples(
        st.booleans(),
        st.integers(0, 255),
        st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1))),
        st.dictionaries(st.text(), st.lists(st.integers(0, 2**16 - 1))),
        st.floats(allow_nan=False),
    )
)
def test_what_is_written_is_read_back(values: tuple[object, ...]) -> None:
    signature = "bya(sx)a{saq}d"
    assert dbus.unmarshal(signature, dbus.marshal(signature, values)) == list(values)


@given(st.binary(max_size=200))
def test_strange_bytes_raise_value_error_alone(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        dbus.unmarshal("a{sv}sa(uo)", data)


def _message(kind: int, fields: list[tuple[int, tuple[str, object]]], body: bytes) -> bytes:
    header = dbus.marshal("yyyyuua(yv)", [ord("l"), kind, 0, 1, len(body), 9, fields])
    return header + b"\0" * (-len(header) % 8) + body


@pytest.fixture
def peer(tmp_path: Path):
    """A peer that answers one call with the given bytes."""
    path, threads = str(tmp_path / "bus"), []

    def start(answer: bytes) -> str:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()

        def serve() -> None:
            with server, server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"OK 0123\r\n")
                connection.recv(65536)
                connection.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        return path

    yield start
    for thread in threads:
        thread.join()


def test_call_skips_signals_and_returns_values(peer) -> None:
    signal = _message(4, [(dbus.PATH, ("o", "/x"))], b"")
    good = _message(
        dbus.METHOD_RETURN, [(dbus.REPLY_SERIAL, ("u", 1)), (dbus.SIGNATURE, ("g", "o"))], dbus.marshal("o", ["/job/7"])
    )
    assert dbus.call("/a", "b.c", "D", "s", "x", socket_path=peer(signal + good)) == ["/job/7"]


def test_error_answer_names_the_error(peer) -> None:
    fields = [(dbus.REPLY_SERIAL, ("u", 1)), (dbus.ERROR_NAME, ("s", "org.x.NoSuchUnit")), (dbus.SIGNATURE, ("g", "s"))]
    bad = _message(dbus.ERROR, fields, dbus.marshal("s", ["Unit x.service not found."]))
    with pytest.raises(dbus.DBusError, match=r"Unit x.service not found. \(org.x.NoSuchUnit\)"):
        dbus.call("/a", "b.c", "D", socket_path=peer(bad))


def test_peer_that_hangs_up_is_an_os_error(peer) -> None:
    with pytest.raises(OSError):
        dbus.call("/a", "b.c", "D", socket_path=peer(b""))


def test_no_socket_means_not_available(tmp_path: Path) -> None:
    assert not dbus.available(str(tmp_path / "none"))
    assert os.geteuid() != 0 or dbus.available(str(tmp_path))
