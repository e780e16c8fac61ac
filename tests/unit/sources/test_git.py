"""Sources of type git, from real repositories: over the file system and over a real SSH connection with a deploy key."""

from __future__ import annotations

import base64
import os
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import paramiko
import pytest

from cookline.control.sources.fetch import Kept
from cookline.control.stack.artifact import Artifact
from cookline.errors import SourceError, StackError
from tests.unit.sources.conftest import Freeze, files

IDENTITY = {f"GIT_{who}_{what}": f"{what}@example.net" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PLAIN = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=PLAIN).stdout.strip()


def commit(folder: Path, message: str, contents: dict[str, str]) -> str:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits on main (the first is tagged v1), a branch `next`, a submodule in lib."""
    lib, shop = tmp_path / "repositories/lib", tmp_path / "repositories/shop"
    for folder in (lib, shop):
        folder.mkdir(parents=True)
        git(folder, "init", "-q")
    commit(lib, "lib", {"lib.py": "LIB = 1\n"})
    commit(shop, "one", {"app.py": "ONE\n", "site/index.html": "<p>one</p>\n"})
    git(shop, "tag", "-a", "v1", "-m", "release")
    git(shop, "submodule", "--quiet", "add", str(lib), "lib")
    (shop / "run").write_text("#!/bin/sh\n")
    (shop / "run").chmod(0o755)
    (shop / "latest").symlink_to("app.py")
    commit(shop, "two", {"app.py": "TWO\n"})
    git(shop, "branch", "next", "v1")
    return shop


def test_the_default_branch_with_submodules_modes_and_links(freeze: Freeze, repository: Path) -> None:
    revision = freeze(f"type: git, url: {repository}")
    found = files(revision)
    assert found["app.py"] == ("0644", b"TWO\n")
    assert found["run"] == ("0755", b"#!/bin/sh\n")
    assert found["latest"] == ("link", b"app.py")
    assert found["lib/lib.py"] == ("0644", b"LIB = 1\n")
    assert not [path for path in found if ".git" in path.split("/")]
    assert revision.sources["shop"]["commit"] == git(repository, "rev-parse", "main")


def test_branch_tag_and_hash_are_frozen_at_a_commit(freeze: Freeze, repository: Path) -> None:
    first = git(repository, "rev-parse", "v1^{commit}")
    made = [freeze(f"type: git, url: {repository}, revision: {name}") for name in ("next", "v1", "refs/tags/v1", first)]
    assert {revision.sources["shop"]["commit"] for revision in made} == {first}
    assert len({revision.trees["app:shop"] for revision in made}) == 1
    assert files(made[0])["app.py"] == ("0644", b"ONE\n")


def test_a_commit_in_the_middle_of_a_branch(freeze: Freeze, repository: Path) -> None:
    middle = commit(repository, "three", {"app.py": "THREE\n"})
    commit(repository, "four", {"app.py": "FOUR\n"})
    assert files(freeze(f"type: git, url: {repository}, revision: {middle}"))["app.py"] == ("0644", b"THREE\n")


def test_a_folder_of_the_repository_and_no_submodules(freeze: Freeze, repository: Path) -> None:
    assert set(files(freeze(f"type: git, url: {repository}, path: site"))) == {"index.html"}
    assert "lib/lib.py" not in files(freeze(f"type: git, url: {repository}, submodules: false"))


def test_equal_files_are_one_artifact_wherever_they_come_from(freeze: Freeze, repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "copy"), "v1")
    (tmp_path / "copy/.git").unlink()
    assert (
        freeze(f"type: git, url: {repository}, revision: v1").trees["app:shop"]
        == freeze("type: local, path: copy").trees["app:shop"]
    )


def test_what_has_not_moved_is_not_fetched_again(freeze: Freeze, repository: Path) -> None:
    before = freeze(f"type: git, url: {repository}")
    source, stood = before.stack.apps["shop"].source, before.sources["shop"]
    assert source is not None
    reads: list[str] = []

    def read() -> Artifact:
        reads.append("read")
        return Artifact(b"kept", before.manifests[before.trees["app:shop"]][0][2])

    kept = Kept(source.plain(), stood, read)
    assert freeze(f"type: git, url: {repository}", kept=lambda stack, app: kept).trees == before.trees
    assert reads == ["read"]
    moved = commit(repository, "three", {"app.py": "THREE\n"})
    assert freeze(f"type: git, url: {repository}", kept=lambda stack, app: kept).sources["shop"]["commit"] == moved
    assert reads == ["read"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("revision: mian", "has no branch or tag 'mian'; did you mean 'main'?"),
        ("revision: abc1234", "full hash of 40 digits"),
        (f"revision: {'0' * 40}", "has no commit 000"),
        ("path: nowhere", "has no folder 'nowhere'"),
        ("path: ../..", "has no folder '../..'"),
        ("path: latest", "has no folder 'latest'"),
    ],
)
def test_what_is_not_there_is_named(freeze: Freeze, repository: Path, source: str, sentence: str) -> None:
    with pytest.raises(SourceError) as caught:
        freeze(f"type: git, url: {repository}, {source}")
    assert sentence in str(caught.value)
    assert caught.value.message.startswith("app 'shop': ")


def test_a_name_of_a_branch_and_a_tag_is_refused(freeze: Freeze, repository: Path) -> None:
    git(repository, "branch", "v1", "main")
    with pytest.raises(SourceError, match="is a branch and a tag") as caught:
        freeze(f"type: git, url: {repository}, revision: v1")
    assert caught.value.hint == "write refs/heads/v1 or refs/tags/v1"


def test_no_hook_and_no_program_of_the_repository_runs(freeze: Freeze, repository: Path, tmp_path: Path) -> None:
    (repository / ".git/hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "post-merge"):
        (repository / ".git/hooks" / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (repository / ".git/hooks" / name).chmod(0o755)
    commit(repository, "attributes", {".gitattributes": "* filter=evil\n"})
    freeze(f"type: git, url: {repository}")
    assert not (tmp_path / "ran").exists()


def test_a_link_out_of_the_repository_is_refused(freeze: Freeze, repository: Path) -> None:
    (repository / "passwords").symlink_to("/etc/passwd")
    commit(repository, "link", {})
    with pytest.raises(Exception, match="leads out of the app's source"):
        freeze(f"type: git, url: {repository}")


# -- over SSH --------------------------------------------------------------------------------------------------------------


class GitServer(paramiko.ServerInterface):
    """Lets one key in, and runs git-upload-pack for it."""

    def __init__(self, key: str) -> None:
        self.key, self.tried = key, [""]

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.tried.append(key.get_base64())
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() == self.key else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        words = shlex.split(command.decode())
        assert words[0] == "git-upload-pack"
        threading.Thread(target=_upload_pack, args=(channel, words[1]), daemon=True).start()
        return True


def _upload_pack(channel: paramiko.Channel, path: str) -> None:
    with subprocess.Popen(["git-upload-pack", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=PLAIN) as process:
        assert process.stdin and process.stdout

        def feed() -> None:
            while data := channel.recv(65536):
                process.stdin.write(data)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]

        threading.Thread(target=feed, daemon=True).start()
        while data := process.stdout.read1(65536):  # type: ignore[attr-defined]
            channel.sendall(data)
        channel.send_exit_status(process.wait())
        channel.close()


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A real SSH server on the loopback; `key` is the private key that it accepts, pinned is its own."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "deploy")], check=True)
    host_key = paramiko.ECDSAKey.generate()
    server = GitServer((tmp_path / "deploy.pub").read_text().split()[1])
    transports: list[paramiko.Transport] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(host_key)
            transport.start_server(event=threading.Event(), server=server)  # returns at once

    threading.Thread(target=serve, daemon=True).start()
    port = listening.getsockname()[1]
    (tmp_path / ".cookline").mkdir(mode=0o700)
    pinned = f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n"
    (tmp_path / ".cookline/known_hosts").write_text(pinned)
    yield {"port": port, "key": tmp_path / "deploy", "server": server}
    listening.close()
    for transport in transports:
        transport.close()


def test_a_deploy_key_is_used_and_lies_on_no_disk(
    freeze: Freeze, repository: Path, ssh_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEPLOY_KEY", ssh_server["key"].read_text())
    secret = ssh_server["key"].read_text().splitlines()[2]
    ssh_server["key"].unlink()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    url = f"ssh://git@127.0.0.1:{ssh_server['port']}{repository}"
    revision = freeze(f"type: git, url: '{url}', revision: v1, deploy_key: !secret env:DEPLOY_KEY")
    assert files(revision)["app.py"] == ("0644", b"ONE\n")
    assert secret not in str(revision.to_dict())
    assert os.listdir(scratch) == []
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "repositories" not in path.parts]
    assert not [path for path in kept if secret.encode() in path.read_bytes()]
    assert not [name for name in os.listdir("/proc/self/fd") if "deploy-key" in _link(f"/proc/self/fd/{name}")]


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def test_a_key_that_cannot_be_read_leaves_nothing_behind(
    freeze: Freeze, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(StackError, match="the environment has no NOBODY_HAS_IT"):
        freeze("type: git, url: 'git@example.org:shop', deploy_key: !secret env:NOBODY_HAS_IT")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_key_that_is_not_let_in_and_a_host_that_nobody_knows(
    freeze: Freeze, repository: Path, ssh_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    monkeypatch.setenv("DEPLOY_KEY", (tmp_path / "other").read_text())
    source = f"type: git, url: 'ssh://git@127.0.0.1:{ssh_server['port']}{repository}', deploy_key: !secret env:DEPLOY_KEY"
    with pytest.raises(SourceError, match="Permission denied") as caught:
        freeze(source)
    assert "deploy_key" in str(caught.value.hint)
    (tmp_path / ".cookline/known_hosts").write_text("")
    with pytest.raises(SourceError, match="Host key verification failed") as caught:
        freeze(source)
    assert "cookline trust" in str(caught.value.hint)


def test_a_remote_repository_cannot_pull_in_files_of_this_machine(
    freeze: Freeze, repository: Path, ssh_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its submodule names a path: over the file system that is a neighbour, from outside it would be the controller's own."""
    monkeypatch.setenv("DEPLOY_KEY", ssh_server["key"].read_text())
    url = f"ssh://git@127.0.0.1:{ssh_server['port']}{repository}"
    with pytest.raises(SourceError, match="transport 'file' not allowed"):
        freeze(f"type: git, url: '{url}', deploy_key: !secret env:DEPLOY_KEY")


# -- over HTTP -------------------------------------------------------------------------------------------------------------

TOKEN = "token-of-a-test"


class SmartHttp(BaseHTTPRequestHandler):
    """git's own http-backend behind a password."""

    root: Path
    refused: list[str]

    def _serve(self) -> None:
        sent = self.headers.get("Authorization", "")
        if sent != "Basic " + base64.b64encode(f"ann:{TOKEN}".encode()).decode():
            self.refused.append(sent)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            **PLAIN,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[str]:
    SmartHttp.root, SmartHttp.refused = tmp_path / "repositories", []
    server = ThreadingHTTPServer(("127.0.0.1", 0), SmartHttp)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_user_and_password_reach_their_host(
    freeze: Freeze, repository: Path, http_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", TOKEN)
    source = f"type: git, url: '{http_server}/shop/.git', revision: v1, user: ann, password: !secret env:GIT_TOKEN"
    assert files(freeze(source))["app.py"] == ("0644", b"ONE\n")
    # git asks without credentials first, and never sends other ones
    assert set(SmartHttp.refused) == {""}


def test_a_wrong_password_is_told_and_not_shown(
    freeze: Freeze, repository: Path, http_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", "something-else")
    source = f"type: git, url: '{http_server}/shop/.git', user: ann"
    with pytest.raises(SourceError, match="Authentication failed") as caught:
        freeze(f"{source}, password: !secret env:GIT_TOKEN")
    assert "something-else" not in str(caught.value) and "a token" in str(caught.value)
    with pytest.raises(SourceError, match="could not read") as caught:
        freeze(source)
    assert "`user` and `password`" in str(caught.value)


def test_a_submodule_elsewhere_does_not_get_the_password(
    freeze: Freeze, repository: Path, http_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = http_server.replace("127.0.0.1", "localhost")
    git(repository, "config", "--file", ".gitmodules", "submodule.lib.url", f"{elsewhere}/lib/.git")
    commit(repository, "elsewhere", {})
    monkeypatch.setenv("GIT_TOKEN", TOKEN)
    with pytest.raises(SourceError, match="submodule"):
        freeze(f"type: git, url: '{http_server}/shop/.git', user: ann, password: !secret env:GIT_TOKEN")
    assert set(SmartHttp.refused) == {""}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a repository to somebody else")
def test_a_repository_of_somebody_else_on_this_machine(freeze: Freeze, repository: Path) -> None:
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert files(freeze(f"type: git, url: {repository}, revision: v1"))["app.py"] == ("0644", b"ONE\n")
