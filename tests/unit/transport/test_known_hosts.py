"""known_hosts files are read as ssh-keygen reads them, and pins change nothing but their own host."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from cookline.control.transport.ssh.known_hosts import HostKey, host_name, lookup, pin

ONE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOYFpgGujZuxSqN0xOB4Ef2BAwOu3NEHAZ7031xfg9Da"
TWO = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIRdhLy2Y9czY3KX90DfDqnG+bAhyaBzN7R2ls9ejZSp"


def key(text: str) -> HostKey:
    return HostKey(*text.split())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def blobs(file: Path, name: str) -> list[str]:
    return [f"{found.kind} {found.blob}" for found in lookup([str(file)], name)]


@pytest.mark.parametrize(
    ("line", "name", "found"),
    [
        (f"web1 {ONE}", "web1", True),
        (f"web1 {ONE} a comment", "WEB1", True),
        (f"192.0.2.1,web1 {ONE}", "web1", True),
        (f"web1 {ONE}", "web2", False),
        (f"[web1]:2222 {ONE}", "[web1]:2222", True),
        (f"[web1]:2222 {ONE}", "web1", False),
        (f"web1 {ONE}", "[web1]:2222", False),
        (f"*.example.net {ONE}", "web1.example.net", True),
        (f"*.example.net,!web1.example.net {ONE}", "web1.example.net", False),
        (f"# web1 {ONE}", "web1", False),
        (f"@cert-authority web1 {ONE}", "web1", False),
        (f"@revoked web1 {ONE}", "web1", True),
        ("web1 ssh-ed25519 not-base64!", "web1", False),
        ("web1 ssh-rsa " + ONE.split()[1], "web1", False),
        ("web1", "web1", False),
    ],
)
def test_lines_are_matched(file: Path, line: str, name: str, found: bool) -> None:
    file.write_text(line + "\n")
    assert blobs(file, name) == ([ONE] if found else [])


def test_hashed_names_are_found(file: Path) -> None:
    file.write_text(f"web1 {ONE}\n[web2]:2222 {TWO}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert "web1" not in file.read_text()
    assert blobs(file, "web1") == [ONE]
    assert blobs(file, "[web2]:2222") == [TWO]
    assert blobs(file, "web2") == []


def test_fingerprints_are_those_of_ssh_keygen(file: Path) -> None:
    file.write_text(f"web1 {ONE}\n")
    said = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True).stdout
    assert key(ONE).fingerprint in said.split()


def test_the_first_file_that_knows_a_host_decides(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    file.write_text(f"web1 {ONE}\n")
    other.write_text(f"web1 {TWO}\nweb2 {TWO}\n")
    files = [str(tmp_path / "missing"), str(file), str(other)]
    assert [(found.blob, found.file, found.line) for found in lookup(files, "web1")] == [(key(ONE).blob, str(file), 1)]
    assert len(lookup(files, "web2")) == 1


def test_a_revoked_key_is_known_as_such(file: Path) -> None:
    file.write_text(f"@revoked web1 {ONE}\n")
    assert lookup([str(file)], "web1")[0].revoked


def test_a_pin_takes_the_place_of_older_ones_and_leaves_the_rest(file: Path) -> None:
    file.write_text(f"# ours\nweb1 {ONE}\nweb1,web2 {ONE}\n*.net {ONE}\n")
    pin(str(file), "web1", [key(TWO)])
    assert file.read_text() == f"# ours\nweb2 {ONE}\n*.net {ONE}\nweb1 {TWO}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_pin_makes_the_file_and_its_directory(tmp_path: Path) -> None:
    file = tmp_path / ".cookline" / "known_hosts"
    pin(str(file), host_name("web1", 2222), [key(ONE)])
    assert file.read_text() == f"[web1]:2222 {ONE}\n"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
