"""A checkout of one commit, by the git command: nothing of the operator's own git configuration takes part in it.

A deploy key is never on a disk: ssh reads it from this process's memory. Passwords stand in git's environment alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cookline.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.models import Source
    from cookline.control.stack.secret_resolver import Resolver

FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# A repository of some hundred megabytes over a slow line.
SECONDS = 600.0
# git asks sh, which prints what stands in git's environment; nothing of it is in an argument or a file.
HELPER = '"!f() { printf \'username=%s\\\\npassword=%s\\\\n\' \\"$COOKLINE_GIT_USER\\" \\"$COOKLINE_GIT_PASSWORD\\"; }; f"'
SETTINGS = {
    # equal bytes on every controller
    "core.autocrlf": "false",
    "core.symlinks": "true",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "gc.auto": "0",
    "advice.detachedHead": "false",
}
HINTS = (
    ("Host key verification failed", "`cookline trust HOST` shows and pins the host's key"),
    ("Permission denied (publickey", "give the source a `deploy_key` without a passphrase that the repository accepts"),
    ("Authentication failed", "give the source `user` and `password` (a !secret; for most hosts a token)"),
    ("could not read Username", "give the source `user` and `password` (a !secret; for most hosts a token)"),
    ("redirect", "write the address that the repository has now"),
)


class Repository:
    """The repository of a source, for the time of a `with`. Raises SourceError."""

    def __init__(self, source: Source, resolver: Resolver, *, base: Path, known_hosts: Path) -> None:
        if shutil.which("git") is None:
            raise SourceError(
                "git is not installed here, and it is what fetches sources of type git", hint="apt-get install git"
            )
        assert source.url is not None
        self.source = source
        self.url = source.url
        self.local = source.url.startswith((".", "/", "~", "file:"))
        if source.url.startswith((".", "~", "/")):
            self.url = str((base / Path(source.url).expanduser()).resolve())
        key, password = resolver.resolve(source.deploy_key), resolver.resolve(source.password)
        self._directory = Path(tempfile.mkdtemp(prefix="cookline-git-"))
        self._key = _in_memory(key) if key is not None else None
        self._environment = self._surroundings(source.user, password, known_hosts)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._key is not None:
            os.close(self._key)
            self._key = None
        shutil.rmtree(self._directory, ignore_errors=True)

    # -- what is asked of it -------------------------------------------------------------------------------------------

    def resolve(self) -> tuple[str, str | None]:
        """What to fetch (a full reference, or a commit's hash), and the commit when that is known already."""
        wanted = self.source.revision
        if wanted is not None and FULL_HASH.fullmatch(wanted):
            return wanted, wanted
        lines = self._git("ls-remote", "--", self.url).splitlines()
        found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        names = [wanted] if wanted and wanted.startswith("refs/") else [f"refs/heads/{wanted}", f"refs/tags/{wanted}"]
        known = [name for name in (["HEAD"] if wanted is None else names) if name in found]
        if len(known) > 1:
            raise SourceError(f"{wanted!r} is a branch and a tag of {self.source.url}", hint=f"write {known[0]} or {known[1]}")
        if not known:
            raise self._unknown(wanted, found)
        # an annotated tag is an object of its own; its commit stands beside it
        return known[0], found.get(f"{known[0]}^{{}}", found[known[0]])

    def _unknown(self, wanted: str | None, found: dict[str, str]) -> SourceError:
        if wanted is None:
            return SourceError(f"{self.source.url} has no commits")
        short = [name.split("/", 2)[2] for name in found if name.startswith(("refs/heads/", "refs/tags/")) and "^" not in name]
        hint = "a commit is named by its full hash of 40 digits" if re.fullmatch("[0-9a-f]{4,39}", wanted) else None
        return SourceError(f"{self.source.url} has no branch or tag {wanted!r}{did_you_mean(wanted, short)}", hint=hint)

    def checkout(self, reference: str) -> tuple[Path, str]:
        """The folder with the files (the source's `path` inside of the repository), and the commit that they are of."""
        folder = self._directory / "checkout"
        self._git("init", "--quiet", "--template=", str(folder))
        self._fetch(folder, reference)
        commit = self._git("rev-parse", "--verify", "FETCH_HEAD^{commit}", folder=folder).strip()
        self._git("checkout", "--quiet", "--detach", commit, folder=folder)
        if self.source.submodules and (folder / ".gitmodules").is_file():
            self._git("remote", "add", "origin", self.url, folder=folder)
            self._git("submodule", "--quiet", "update", "--init", "--recursive", folder=folder)
        return self._inside(folder), commit

    def _fetch(self, folder: Path, reference: str) -> None:
        quiet = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
        try:
            self._git(*quiet, "--depth=1", "--", self.url, reference, folder=folder)
            return
        except SourceError:
            if not FULL_HASH.fullmatch(reference):
                raise
        # a server need not give out commits by their hashes: then all branches and tags are fetched, and it is among them
        self._git(*quiet, "--", self.url, "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*", folder=folder)
        try:
            self._git("cat-file", "-e", f"{reference}^{{commit}}", folder=folder)
        except SourceError:
            raise SourceError(f"{self.source.url} has no commit {reference} in any branch or tag") from None
        (folder / ".git/FETCH_HEAD").write_text(f"{reference}\n")

    def _inside(self, folder: Path) -> Path:
        inner = self.source.path
        if inner is None:
            return folder
        place = (folder / inner).resolve()
        if not place.is_relative_to(folder.resolve()) or not place.is_dir():
            raise SourceError(f"{self.source.url} has no folder {inner!r} at this commit")
        return place

    # -- the command ---------------------------------------------------------------------------------------------------

    def _git(self, *arguments: str, folder: Path | None = None) -> str:
        command = ["git", *(["-C", str(folder)] if folder else []), *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise SourceError(f"git {arguments[0]} of {self.source.url} took longer than {SECONDS:.0f} s") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            hint = next((hint for words, hint in HINTS if words in said), None)
            raise SourceError(f"git {arguments[0]} of {self.source.url} failed: {said[-2000:] or done.returncode}", hint=hint)
        return done.stdout.decode("utf-8", "replace")

    def _surroundings(self, user: str | None, password: str | None, known_hosts: Path) -> dict[str, str]:
        """git's whole environment. Remote submodules of a remote repository must not lead to this machine's own files."""
        kept = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        return environment | {
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._settings()),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:file" if self.local else "https:http:ssh",
            "GIT_SSH_COMMAND": shlex.join(self._ssh(known_hosts)),
            "GIT_SSH_VARIANT": "ssh",
            "GIT_ASKPASS": "/bin/false",
            "COOKLINE_GIT_USER": user or "git",
            "COOKLINE_GIT_PASSWORD": password or "",
        }

    def _settings(self) -> Path:
        """git's only configuration. A repository on this machine may belong to somebody else: the definition names it."""
        settings = {**SETTINGS, **({"safe.directory": "*"} if self.local else {})}
        lines = []
        for name, value in settings.items():
            section, key = name.split(".")
            lines += [f"[{section}]", f"\t{key} = {value}"]
        if self.source.password is not None:
            # for this host alone: submodules may lie elsewhere
            parts = urlsplit(self.url)
            lines += [f'[credential "{parts.scheme}://{parts.netloc}"]', f"\thelper = {HELPER}"]
        path = self._directory / "gitconfig"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _ssh(self, known_hosts: Path) -> Sequence[str]:
        """Strict host keys: those pinned here, then the operator's own. With a deploy key no other one is tried."""
        files = f'UserKnownHostsFile="{known_hosts.absolute()}" ~/.ssh/known_hosts'
        words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", files]
        words += ["-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15"]
        if self._key is not None:
            path = f"/proc/{os.getpid()}/fd/{self._key}"
            words += ["-i", path, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ForwardAgent=no"]
        return words


def _in_memory(key: str) -> int:
    """A descriptor of an anonymous file with the private key, 0600 and with a last newline as ssh wants it."""
    descriptor = os.memfd_create("deploy-key", os.MFD_CLOEXEC)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, key.strip().encode() + b"\n")
    return descriptor
