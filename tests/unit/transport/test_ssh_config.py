"""~/.ssh/config is read as OpenSSH reads it: `ssh -G` is asked what it makes of the same file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cookline.control.transport.base import Target
from cookline.control.transport.ssh.config import settings
from cookline.control.transport.ssh.route import parse_place, route
from cookline.errors import Unreachable

CONFIGS = {
    "plain": "Host web1\n  HostName 192.0.2.1\n  Port 2222\n  User deploy\n",
    "first value wins": "Host web*\n  Port 1111\nHost web1\n  Port 2222\n  User late\n",
    "negation": "Host * !web1\n  User others\nHost web1\n  User me\n",
    "equals signs": "Host=web1\n  Port = 22022\n  User=equal\n",
    "match": "Match host web1 user root\n  Port 1\nMatch originalhost web1\n  Port 2\nMatch all\n  User anyone\n",
    "negated match": "Match !host web1\n  Port 1\nMatch host=web1\n  Port 2\n",
    "tokens": "Host web1\n  HostName %h.example.net\n  IdentityFile ~/keys/%r@%h-%p\n  User u\n  Port 77\n",
    "identities collect": "Host web1\n  IdentityFile /a\nHost *\n  IdentityFile /b\n  IdentitiesOnly yes\n",
    "jump": "Host web1\n  ProxyJump a,user@b:2200\n",
    "no jump": "Host web1\n  ProxyJump none\nHost *\n  ProxyJump a\n",
    "known hosts": "Host web1\n  UserKnownHostsFile /a /b\n  GlobalKnownHostsFile /c\n  HostKeyAlias alias\n",
    "comments and case": "# Host web1\nHOST web1\n  # port 9\n  pOrT 8\n\n",
    "another host": "Host web2\n  Port 9\n",
}


def said_by_openssh(config: Path) -> dict[str, list[str]]:
    done = subprocess.run(["ssh", "-G", "-F", config, "web1"], capture_output=True, text=True, check=True)
    words: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        words.setdefault(name, []).append(value)
    return words


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS.keys())
def test_we_and_openssh_read_the_same(text: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(text)
    expected, found = said_by_openssh(config), settings("web1", str(config))
    assert found.hostname == expected["hostname"][0]
    assert str(found.port or 22) == expected["port"][0]
    if found.user:
        assert found.user == expected["user"][0]
    jump = expected.get("proxyjump", [""])[0]
    assert ",".join(found.proxy_jump) == ("" if jump == "none" else jump)
    if found.identity_files:
        # OpenSSH expands the tokens of an identity file when it uses it
        assert len(found.identity_files) == len(expected["identityfile"])
    if found.user_known_hosts is not None:
        assert " ".join(found.user_known_hosts) == expected["userknownhostsfile"][0]
    assert found.identities_only == (expected["identitiesonly"][0] == "yes")
    assert found.host_key_alias == expected.get("hostkeyalias", [None])[0]


def test_includes_are_read_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "one.conf").write_text("Port 1\n")
    (tmp_path / "two.conf").write_text("Host web1\n  Port 2\n")
    config = tmp_path / "config"
    config.write_text(
        f"Host web2\n  Include {tmp_path}/one.conf\nMatch all\n  Include {tmp_path}/t*.conf\nHost web1\n  Port 3\n"
    )
    assert settings("web1", str(config)).port == 2
    assert said_by_openssh(config)["port"] == ["2"]


def test_tokens_of_identity_files_are_filled_in(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text('Host web1\n  HostName 192.0.2.1\n  User u\n  IdentityFile "~/my keys/%r@%h-%p-%n"\n')
    assert settings("web1", str(config)).identity_files == (os.path.expanduser("~/my keys/u@192.0.2.1-22-web1"),)


def test_what_the_target_says_goes_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host web1\n  User filed\n  Port 9\n  IdentityFile /filed\n")
    [hop] = route(Target("i", "web1", ssh_config=str(config)))
    assert (hop.user, hop.port, hop.identity_files) == ("filed", 9, ("/filed",))
    [hop] = route(Target("i", "web1", ssh_config=str(config), user="root", port=22, identity_file="/mine"))
    assert (hop.user, hop.port, hop.identity_files, hop.identities_only) == ("root", 22, ("/mine",), True)


def test_hops_have_their_own_settings(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host web1\n  ProxyJump gate,inner\n  ConnectTimeout 3\n"
        "Host gate\n  HostName 192.0.2.1\n  User guard\n  ProxyJump edge\n"
        "Host inner\n  Port 23\n  ProxyJump edge\nHost edge\n  ProxyJump none\n"
    )
    hops = route(Target("web1", "web1", ssh_config=str(config), user="root", connect_timeout=7))
    assert [(hop.address, hop.port, hop.timeout) for hop in hops] == [
        ("edge", 22, 7),
        ("192.0.2.1", 22, 7),
        ("inner", 23, 7),
        ("web1", 22, 3),
    ]
    assert hops[1].user == "guard"
    assert hops[2].trust_hint == "cookline trust inner"


def test_jump_hosts_in_a_circle_end_in_an_error(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(Unreachable, match="in a circle"):
        route(Target("a", "a", ssh_config=str(config)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web1", (None, "web1", None)),
        ("root@web1:22022", ("root", "web1", 22022)),
        ("ssh://u@web1:1", ("u", "web1", 1)),
        ("2001:db8::1", (None, "2001:db8::1", None)),
        ("u@[2001:db8::1]:2222", ("u", "2001:db8::1", 2222)),
        ("[web1]:23", (None, "web1", 23)),
    ],
)
def test_places_are_taken_apart(text: str, parts: tuple[str | None, str, int | None]) -> None:
    assert parse_place(text) == parts
