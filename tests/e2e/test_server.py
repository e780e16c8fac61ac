"""One server for a team: commands over the network with tokens, scopes, an audit log and TLS; the same output as without."""

from __future__ import annotations

import json
import re
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.certificate import self_signed
from tests.e2e.project import Project, Said
from tests.lab.hosts import LabHost

QUICK = """
    def recipe(node):
        node.ensure(File("/root/quick", content=str(node.stack.number)))
"""


@dataclass
class Team:
    """A server with its project, and another person's project on another machine that only knows the address."""

    project: Project
    address: str
    certificate: Path
    other: Path

    def token(self, *scopes: str) -> str:
        words = [word for scope in scopes for word in ("--scope", scope)]
        said = self.project.good("token", "create", f"alice-{'-'.join(scopes)}", *words, "--json")
        return str(said.json["token"])

    def remote(self, token: str, *words: str) -> Said:
        elsewhere = Project(self.other, [])
        elsewhere.variables = {
            "COOKLINE_SERVER": self.address,
            "COOKLINE_TOKEN": token,
            "COOKLINE_CA": str(self.certificate),
        }
        return elsewhere.cookline(*words)

    def get(self, token: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {token}"})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        context = ssl.create_default_context(cafile=str(self.certificate))
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.read().decode()


@pytest.fixture
def team(host: LabHost, tmp_path: Path) -> Iterator[Team]:
    home = tmp_path / "server"
    home.mkdir()
    project = Project(home, [host], {"setup": QUICK, "configure": "def recipe(node): pass"}).write()
    project.good("push", "test.yml")
    certificate, key = self_signed(tmp_path)
    tls = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    project.good("server", "--detach", "--port", "0", "--listen", "127.0.0.1:0", *tls)
    address = json.loads((home / ".cookline" / "api.json").read_text())["address"]
    other = tmp_path / "other"
    other.mkdir()
    yield Team(project, address, certificate, other)
    project.good("server", "--stop")


def test_two_operators_share_one_server(team: Team, host: LabHost) -> None:
    alice = team.token("test=manage")
    assert team.address.startswith("https://")

    said = team.remote(alice, "setup", "test")
    assert said.status == 0 and "setup of test, revision 1: 2 successful" in said.out
    assert host.testinfra.file("/root/quick").exists
    both = [team.project.good("status", "test").out, team.remote(alice, "status", "test").out]
    here, there = (re.sub(r"\d+ s ago *", "", out) for out in both)  # the clock goes on between the two
    assert here == there

    changed = Project(team.other, [host], {"setup": QUICK, "configure": QUICK}).write()
    pushed = team.remote(alice, "push", str(changed.folder / "test.yml"), "-m", "from elsewhere")
    assert "revision 2" in pushed.out, pushed.err
    assert "from elsewhere" in team.project.good("history", "test").out
    assert team.remote(alice, "configure", "test").status == 0

    log = team.project.good("audit", "--json").json
    asked = {(entry["who"], entry["origin"], entry["what"]) for entry in log}
    assert any(entry["origin"] == "local" for entry in team.project.good("audit", "test", "--json").json), "of one stack, too"
    assert ("alice-test=manage", "127.0.0.1", "setup test") in asked
    assert any(origin == "local" and what == "status test" for _, origin, what in asked)


def test_a_token_reaches_as_far_as_its_scopes(team: Team) -> None:
    reader, deployer = team.token("test=show"), team.token("test=deploy", "other=manage")
    assert team.remote(reader, "status", "test").status == 0
    for token, words in (
        (reader, ("setup", "test")),
        (reader, ("configure", "--comment", "status", "test")),
        (reader, ("status",)),
        (deployer, ("stop", "test", "lab1")),
        (deployer, ("token", "list")),
        (deployer, ("status", "other")),
    ):
        refused = team.remote(token, *words)
        assert refused.status == 2, (words, refused)
    assert team.remote(deployer, "configure", "test").status == 0
    refusals = [entry for entry in team.project.good("audit", "--json").json if not entry["allowed"]]
    assert {entry["what"] for entry in refusals} >= {"setup test", "status", "stop test lab1"}


def test_a_token_reads_no_files_of_the_server(team: Team) -> None:
    (team.project.folder / "keys.yml").write_text("- canary\n")
    show = team.token("show")
    for words in (("diff", "test", "--file", "keys.yml"), ("explain", "a.b", "-i", "x", "--stack", "keys.yml")):
        said = team.remote(show, *words)
        assert said.status != 0
        assert "reads no files of its own machine" in said.err and "canary" not in said.out + said.err


def test_who_has_no_token_learns_nothing(team: Team) -> None:
    wrong = team.remote("cookline_guessed", "status", "test")
    assert wrong.status == 2 and "no valid token" in wrong.err and "lab1" not in wrong.out + wrong.err
    alice = team.token("test=show")
    team.project.good("token", "revoke", "alice-test=show")
    assert team.remote(alice, "status", "test").status == 2
    stored = b"".join(path.read_bytes() for path in (team.project.folder / ".cookline").glob("store.db*"))
    assert alice.encode() not in stored, "only hashes are kept"


def test_programs_use_the_api_and_follow_events(team: Team) -> None:
    token = team.token("test=deploy")
    begun = json.loads(team.get(token, "/v1/commands", {"kind": "setup", "stack": "test"}))
    events = team.get(token, f"/v1/commands/{begun['command']}/events")
    assert events.rstrip().split("\n\n")[-1].startswith("event: finished")
    report = json.loads(team.get(token, f"/v1/commands/{begun['command']}"))
    assert report["exit_code"] == 0 and report["totals"] == {"successful": 2}
    assert "/v1/commands" in json.loads(team.get(token, "/v1/openapi.json"))["paths"]

    rollout = {"batch": ["1"], "gates": ["ssh:test -e /root/never"], "gate_within": 60}
    going = json.loads(team.get(token, "/v1/commands", {"kind": "configure", "stack": "test", "rollout": rollout}))["command"]
    for word in ("pause", "resume", "abort"):
        team.get(token, f"/v1/commands/{going}/{word}", {})
    team.get(token, f"/v1/commands/{going}/events")
    report = json.loads(team.get(token, f"/v1/commands/{going}"))
    assert (report["rollout"]["reason"], report["exit_code"]) == ("the rollout was aborted", 1)
    given = team.project.good("runs", "test", "--json").json
    assert {each["user"] for each in given} == {"alice-test=deploy@127.0.0.1"}, "not the server's own user"


def test_tokens_do_not_cross_a_network_in_clear(host: LabHost, tmp_path: Path) -> None:
    project = Project(tmp_path, [host], {"setup": QUICK}).write()
    refused = project.cookline("server", "--listen", "0.0.0.0:0")
    assert refused.status == 2 and "--tls-certificate" in refused.err
    project.variables = {"COOKLINE_SERVER": "http://198.51.100.7:8488", "COOKLINE_TOKEN": "x"}
    refused = project.cookline("status", "test")
    assert refused.status == 2 and "in clear" in refused.err
