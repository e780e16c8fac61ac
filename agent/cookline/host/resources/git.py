"""Git: a working tree at a branch, tag or commit of a repository."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host import accounts
from cookline.host.foresight import CannotKnow
from cookline.host.resources import git_stamps
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.resources.programs import find_program, require_program
from cookline.host.system import Completed, System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

TIMEOUT = 600.0
# On a tmpfs: a key that lies there goes with the power at the latest.
KEYS = "/run"


class Git(Resource):
    """A clone of a repository, at the commit that a branch, tag or hash names; later commits of a branch are fetched in later
    runs. Files that git tracks are put back when they were changed by hand; others stay.

    path            where the working tree is to be
    repository      its URL: https://, ssh://, user@host:path, file:// or a path
    revision        branch, tag or a whole commit hash; HEAD is the repository's own main branch
    depth           fetch only so many commits
    submodules      check them out as well
    user            who owns the tree and runs git; None is root
    deploy_key      a private SSH key; it lies below /run, for that user alone, while git talks to the repository. Never shown
    known_hosts     lines of known_hosts(5) that the repository's host must match; without them the user's own count
    exists          False removes the tree
    commit          filled in: the commit that the revision names

    Between runs the drift check looks for the commit of the last run; it does not ask the repository.

    >>> Git("/srv/tool", "https://git.example.net/tool.git", revision="v1.2").desired()
    {'repository': 'https://git.example.net/tool.git', 'revision': 'v1.2', 'modified': []}
    """

    path: str
    repository: str = ""
    revision: str = field(default="HEAD", kw_only=True)
    depth: Optional[int] = field(default=None, kw_only=True)
    submodules: bool = field(default=False, kw_only=True)
    user: Optional[str] = field(default=None, kw_only=True)
    deploy_key: Optional[str] = field(default=None, kw_only=True, repr=False)
    known_hosts: Optional[str] = field(default=None, kw_only=True, repr=False)
    exists: bool = field(default=True, kw_only=True)
    commit: Optional[str] = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        self._set(path=absolute_path("Git", self.path))
        if self.exists and (not self.repository or self.repository.startswith("-") or "::" in self.repository):
            raise ResourceUsageError(f"Git[{self.path}] needs the URL of a repository, not {self.repository!r}")
        if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", self.repository):
            raise ResourceUsageError(f"Git[{self.path}] has a password in its URL, which everybody could list; use deploy_key")
        if not re.fullmatch(r"(?!-)[A-Za-z0-9_./+@-]+", self.revision) or ".." in self.revision:
            raise ResourceUsageError(f"Git[{self.path}] has revision {self.revision!r}; give a branch, a tag or a whole hash")

    def current(self, host: System) -> State:
        if not self.exists:
            return {"exists": host.status(self.path) is not None}
        if host.status(f"{self.path}/.git") is None:
            if host.status(self.path) is not None and host.listing(self.path):
                return {"repository": "something else", "revision": None, "modified": []}
            return {"repository": None, "revision": None, "modified": None}
        if find_program(host, "git") is None and host.unforeseen("/usr/bin/git"):
            raise CannotKnow(f"git is not installed yet; {host.unforeseen('/usr/bin/git')} before it may bring it")
        require_program(host, "git", "git", self.name)
        return self._read(host)

    def _read(self, host: System) -> State:
        stamp = git_stamps.take(host, self.path, self.repository)
        if stamp is not None and git_stamps.is_known(self.path, stamp):
            found: State = {"repository": self.repository, "revision": stamp.commit, "modified": []}
        else:
            found = self._asked(host)
            if found["repository"] != self.repository:
                return {**found, "modified": []}
            if stamp is not None and host.apply and not found["modified"]:
                git_stamps.keep(self.path, stamp)
        return {**found, "revision": self.revision if found["revision"] == self._resolve(host) else found["revision"]}

    def _asked(self, host: System) -> State:
        """What git says of the tree."""
        head = self._git(host, "rev-parse", "HEAD", ok=False).stdout.strip()
        url = self._git(host, "config", "--get", "remote.origin.url", ok=False).stdout.strip()
        status = self._git(host, "status", "--porcelain", "--untracked-files=no", ok=False).stdout
        modified = {line[3:] for line in status.splitlines()}.union(self._missing_parts(host))
        return {"repository": url or None, "revision": head or None, "modified": sorted(modified)}

    def _missing_parts(self, host: System) -> List[str]:
        """Submodules that are not there yet, or at another commit than the tree names."""
        if not self.submodules:
            return []
        lines = self._git(host, "submodule", "status", "--recursive", ok=False).stdout.splitlines()
        return [line.split()[1] for line in lines if not line.startswith(" ")]

    def desired(self) -> State:
        if not self.exists:
            return {"exists": False}
        return {"repository": self.repository, "revision": self.revision, "modified": []}

    def _resolve(self, host: System) -> str:
        """The commit that is wanted, asked of the repository once. Raises ResourceError."""
        if git_stamps.COMMIT.fullmatch(self.revision):
            return self.revision
        if self.commit is None:
            with self._credentials(host) as env:
                names = (
                    [self.revision]
                    if self.revision == "HEAD"
                    else [f"refs/{kind}/{self.revision}" for kind in ("heads", "tags")]
                )
                asked = ["git", "ls-remote", "--", self.repository, *names, *(f"{name}^{{}}" for name in names[1:])]
                asking = (self.repository, *names, self.user, self.deploy_key, self.known_hosts)
                options = {"env": env, "user": self.user, "timeout": self.timeout or 60.0}
                answer = host.remember(
                    f"git ls-remote {content_hash(repr(asking).encode())}", lambda: host.query(asked, **options)
                )
            if answer.status != 0:
                raise ResourceError(f"{self.repository} cannot be read: {_told(answer)}")
            self._set(commit=self._chosen(answer.stdout))
        return str(self.commit)

    def _chosen(self, listed: str) -> str:
        """A branch before a tag, and of an annotated tag the commit that it is on."""
        found = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        names = ("HEAD",) if self.revision == "HEAD" else (f"refs/heads/{self.revision}", f"refs/tags/{self.revision}")
        for name in names:
            for each in (f"{name}^{{}}", name):
                if each in found:
                    return found[each]
        hint = "a commit needs its whole hash" if re.fullmatch(r"[0-9a-f]{4,39}", self.revision) else None
        raise ResourceError(f"{self.repository} has no branch or tag {self.revision!r}", hint=hint)

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            self._remove(host)
            return
        require_program(host, "git", "git", self.name)
        if changes.get("repository", (None,))[0] == "something else":
            raise ResourceError(f"{self.path} holds something that is no clone", hint=f"remove it before {self.name}")
        wanted = self._resolve(host)
        if host.status(f"{self.path}/.git") is None:
            self._make(host)
        if "repository" in changes:
            self._git(host, "config", "remote.origin.url", self.repository)
            self._git(host, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        with self._credentials(host) as env:
            self._fetch(host, wanted, env)
            self._git(host, "checkout", "--quiet", "--force", "--detach", wanted)
            if self.submodules:
                depth = [f"--depth={self.depth}"] if self.depth else []
                self._git(host, "submodule", "--quiet", "update", "--init", "--recursive", "--force", *depth, env=env)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A tree that was made goes, and one that was moved on goes back; what was changed in it by hand does not come back."""
        if not self.exists or changes.get("modified", ([],))[0] or changes.get("repository", (None,))[0] is not None:
            return None
        if "repository" in changes:
            return Git(self.path, exists=False)
        before = changes.get("revision", (None,))[0]
        return Git(self.path, self.repository, revision=before, user=self.user, submodules=self.submodules) if before else None

    def _make(self, host: System) -> None:
        if host.status(self.path) is None:
            host.make_directory(self.path, parents=True)
        if self.user is not None:
            account = accounts.users(host).get(self.user)
            host.change_owner(self.path, accounts.uid_of(host, self.user), account.gid if account else -1)
        self._git(host, "init", "--quiet")

    def _fetch(self, host: System, wanted: str, env: Dict[str, str]) -> None:
        if self._git(host, "cat-file", "-e", f"{wanted}^{{commit}}", ok=False).status == 0:
            return
        depth = [f"--depth={self.depth}"] if self.depth else []
        fetch = ("fetch", "--quiet", "--no-tags", *depth, "origin")
        if git_stamps.COMMIT.fullmatch(self.revision) and not self.depth:
            fetch = ("fetch", "--quiet", "--tags", "origin")
            self._git(host, *fetch, "+refs/heads/*:refs/remotes/origin/*", env=env)
            if self._git(host, "cat-file", "-e", f"{wanted}^{{commit}}", ok=False).status == 0:
                return
        self._git(host, *fetch, wanted if git_stamps.COMMIT.fullmatch(self.revision) else self.revision, env=env)

    def _remove(self, host: System) -> None:
        if host.status(f"{self.path}/.git") is None:
            raise ResourceError(f"{self.path} is no clone, so it is not removed", hint=f"Absent({self.path!r}) removes it")
        host.remove_tree(self.path)

    def _git(self, host: System, *words: str, ok: bool = True, env: Optional[Dict[str, str]] = None) -> Completed:
        """Runs in the tree. Options of its own keep the tree from naming programs that git would run for it."""
        safe = ["-c", f"safe.directory={self.path}", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
        run = host.run if ok else host.query
        options: Dict[str, Any] = {
            "env": {**PROMPTLESS, **({} if ok else READING), **(env or {})},
            "user": self.user,
            "cwd": self.path,
        }
        try:
            return run(["git", *safe, *words], timeout=self.timeout or TIMEOUT, **options)
        except CommandError as error:
            raise ResourceError(f"`git {' '.join(words)}` failed in {self.path}: {error.stderr.strip()[-2000:]}") from None

    @contextlib.contextmanager
    def _credentials(self, host: System) -> Iterator[Dict[str, str]]:
        """Environment for git while it talks to the repository; the deploy key lies on a tmpfs for so long."""
        if self.deploy_key is None and self.known_hosts is None:
            yield dict(PROMPTLESS)
            return
        import shlex
        import shutil

        directory = host.scratch(f"{KEYS}/cookline-git-")
        with host.open_door():
            os.mkdir(directory, 0o700)
        try:
            words: List[str] = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes"]
            if self.known_hosts is not None:
                words += ["-o", f"UserKnownHostsFile={self._put(host, directory, 'known_hosts', self.known_hosts)}"]
                words += ["-o", "GlobalKnownHostsFile=/dev/null"]
            if self.deploy_key is not None:
                words += ["-i", self._put(host, directory, "key", self.deploy_key), "-o", "IdentitiesOnly=yes"]
            words += ["-o", "StrictHostKeyChecking=yes"]
            if self.user is not None:
                with host.open_door():
                    os.chown(directory, accounts.uid_of(host, self.user), -1)
            yield {**PROMPTLESS, "GIT_SSH_COMMAND": shlex.join(words)}
        finally:
            with host.open_door():
                shutil.rmtree(directory, ignore_errors=True)

    def _put(self, host: System, directory: str, name: str, content: str) -> str:
        path = f"{directory}/{name}"
        with host.open_door(), open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(content.strip() + "\n")
            if self.user is not None:
                os.fchown(file.fileno(), accounts.uid_of(host, self.user), -1)
        return path

    def predict(self, host: Overlay, changes: Changes) -> None:
        if not self.exists:
            self._remove(host)
            return
        if changes.get("repository", (None,))[0] == "something else":
            raise ResourceError(f"{self.path} holds something that is no clone", hint=f"remove it before {self.name}")
        self._resolve(host)
        if host.status(self.path) is None:
            host.make_directory(self.path, parents=True)
            if self.user is not None:
                host.change_owner(self.path, accounts.uid_of(host, self.user), accounts.users(host)[self.user].gid)
        host.cannot_foresee(self.name, self.path)
        host.settle(self.name, self.desired(), self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [f"{self.path}/.git/HEAD"]

    def declaration(self) -> Dict[str, Any]:
        """With the commit that the revision named in this run, and without the key."""
        names = ("path", "repository", "revision", "submodules", "user", "exists", "commit")
        return {name: getattr(self, name) for name in names}


# It never asks: nobody is there to answer.
PROMPTLESS = {"GIT_TERMINAL_PROMPT": "0"}
# `git status` writes what it has found to the index, unless it is told not to.
READING = {"GIT_OPTIONAL_LOCKS": "0"}


def _told(answer: Completed) -> str:
    return answer.stderr.strip()[-2000:] or f"git ended with status {answer.status}"
