"""Virtualenv: a virtual environment of Python with what an application requires."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Union

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host import accounts
from cookline.host.foresight import CannotKnow
from cookline.host.paths import STATE_DIRECTORY, write_private
from cookline.host.resources.absent import refuse_protected, remove_tree
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import Owner, absolute_path, uid_and_gid
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

# One file for each environment: sha256 of the requirements that were installed last. Not in the environment itself, where its
# owner could put a link for root to write through.
MARKERS = STATE_DIRECTORY + "/virtualenvs"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])? *(?:== *(?P<version>[A-Za-z0-9.!+_-]+))? *")
VERSIONED = r"python(\d+\.\d+)"
DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist-info|egg-info)")


class Virtualenv(Resource):
    """A virtual environment. What is required and pinned (name==1.2) is looked at on each run without starting Python; other
    lines are installed when the requirements change.

    path            absolute
    requirements    a list of lines ("flask==3.0"), or the absolute path of a requirements file on the host
    python          the program that the environment is made with; another one makes it anew
    pip             False makes it without pip; then nothing can be required
    system_packages see the packages of the system too
    find_links      a directory of wheels: nothing is fetched from an index
    index_url       another index; put passwords into pip.conf, not here
    owner, group    who makes it and owns it; None is root
    exists          False removes it

    >>> Virtualenv("/srv/shop/venv", ["flask==3.0", "gunicorn"]).desired()["flask"]
    '3.0'
    """

    path: str
    requirements: Union[str, Sequence[str]] = ()
    python: str = field(default="python3", kw_only=True)
    pip: bool = field(default=True, kw_only=True)
    system_packages: bool = field(default=False, kw_only=True)
    find_links: Optional[str] = field(default=None, kw_only=True)
    index_url: Optional[str] = field(default=None, kw_only=True)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(path=refuse_protected("Virtualenv", absolute_path("Virtualenv", self.path)))
        if isinstance(self.requirements, str):
            self._set(requirements=absolute_path(f"{self.name}.requirements", self.requirements))
        else:
            self._set(requirements=tuple(self.requirements))
        if self.requirements and not self.pip:
            raise ResourceUsageError(f"{self.name} needs pip for what it requires")
        if self.group is not None and self.owner is None:
            raise ResourceUsageError(f"{self.name} needs an owner with its group")

    # -- what is there -----------------------------------------------------------------------------------------------------

    def _lines(self) -> List[str]:
        """The requirements without comments; none when the file is not there."""
        lines: Sequence[str] = ()
        if isinstance(self.requirements, str):
            try:
                with open(self.requirements, encoding="utf-8") as file:
                    lines = file.read().splitlines()
            except FileNotFoundError:
                pass
        else:
            lines = self.requirements
        stripped = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines]
        return [line for line in stripped if line]

    def _pinned(self) -> Dict[str, str]:
        """Normal name -> version, or "installed" where any will do, of the lines that say no more than this."""
        found = {}
        for line in self._lines():
            match = PINNED.fullmatch(line)
            if match is not None:
                found[_normal(match.group("name"))] = match.group("version") or "installed"
        return found

    def current(self, host: System) -> State:
        if isinstance(self.requirements, str) and self.exists:
            self._look_for_requirements(host)
        status = host.status(self.path)
        if status is None or not self.exists:
            return dict(ABSENT) if status is None else {"exists": True}
        state: State = {"exists": self._works(host), "python": self._made_with(host)}
        marker = (host.read(self._marker()) or b"").decode().strip()
        installed = self._installed(host)
        for name, version in self._pinned().items():
            seen = installed.get(name)
            state[name] = "installed" if seen is not None and version == "installed" else seen
        if self._lines():
            state["requirements"] = marker or None
        return state

    def _marker(self) -> str:
        return f"{MARKERS}/{content_hash(self.path.encode())[:32]}"

    def _look_for_requirements(self, host: System) -> None:
        path = str(self.requirements)
        if os.path.exists(path):
            return
        cause = host.unforeseen(path)
        if host.in_plan(path) or cause:
            raise CannotKnow(f"{path} is brought by {cause or 'something'} before it")
        raise ResourceError(f"{path} does not exist", hint=f"put File({path!r}, ..) or the Release before {self.name}")

    def _works(self, host: System) -> bool:
        """Its Python is there (it goes when the system's does), and is the one that its packages were installed for."""
        real = os.path.realpath(f"{self.path}/bin/python")
        name = os.path.basename(real)
        there = host.read(f"{self.path}/pyvenv.cfg") is not None and os.path.exists(real)
        return there and (re.fullmatch(VERSIONED, name) is None or host.status(f"{self.path}/lib/{name}") is not None)

    def _made_with(self, host: System) -> str:
        """`python`, unless it names a version and the environment has another."""
        wanted = re.fullmatch(VERSIONED, os.path.basename(self.python))
        config = (host.read(f"{self.path}/pyvenv.cfg") or b"").decode("utf-8", "replace")
        found = re.search(r"^version *= *(\d+\.\d+)", config, re.MULTILINE)
        if wanted is None or found is None or found.group(1) == wanted.group(1):
            return self.python
        return f"python{found.group(1)}"

    def _installed(self, host: System) -> Dict[str, str]:
        """Normal name -> version of all distributions, by the names of their directories."""
        found = {}
        for library in host.listing(f"{self.path}/lib"):
            for entry in host.listing(f"{self.path}/lib/{library}/site-packages"):
                match = DISTRIBUTION.fullmatch(entry)
                if match is not None:
                    found[_normal(match.group("name"))] = match.group("version")
        return found

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT)
        state: State = {"exists": True, "python": self.python, **self._pinned()}
        if self._lines():
            state["requirements"] = content_hash("\n".join(self._lines()).encode())
        return state

    # -- making it so ------------------------------------------------------------------------------------------------------

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists or (host.status(self.path) is not None and {"exists", "python"} & set(changes)):
            self._remove(host)
        if not self.exists:
            return
        if "exists" in changes or "python" in changes:
            self._make(host)
        if self._lines():
            self._install(host)

    def _remove(self, host: System) -> None:
        """Only what is an environment, or what is left of one, is removed."""
        names = host.listing(self.path)
        if names and "pyvenv.cfg" not in names:
            raise ResourceError(f"{self.path} is no virtual environment; it is left alone", hint="remove it by hand")
        remove_tree(host, self.path)
        host.remove(self._marker())

    def _account(self, host: System) -> Dict[str, Any]:
        owner = accounts.user_name(host, self.owner) if isinstance(self.owner, int) else self.owner
        return {"user": owner, "group": self.group} if owner is not None else {}

    def _make(self, host: System) -> None:
        parent = os.path.dirname(self.path)
        if host.status(parent) is None:
            raise ResourceError(f"{parent} does not exist", hint=f"put Directory({parent!r}) before {self.name}")
        if self.owner is not None:
            host.make_directory(self.path)
            uid, gid = uid_and_gid(host, self.owner, self.group)
            host.change_owner(self.path, -1 if uid is None else uid, -1 if gid is None else gid)
        options = [*([] if self.pip else ["--without-pip"]), *(["--system-site-packages"] if self.system_packages else [])]
        try:
            host.run([self.python, "-m", "venv", *options, self.path], timeout=self.timeout or 600.0, **self._account(host))
        except CommandError as error:
            remove_tree(host, self.path)
            said = error.stdout + error.stderr
            if "ensurepip" not in said and "No module named venv" not in said:
                raise
            message = f"{self.python} of this host cannot make virtual environments with pip"
            raise ResourceError(message, hint=f"put Package('python3-venv') before {self.name}") from None

    def _install(self, host: System) -> None:
        """The marker is written last, so that an installation that was cut off is made again."""
        options = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
        options += ["--no-index", "--find-links", self.find_links] if self.find_links else []
        options += ["--index-url", self.index_url] if self.index_url else []
        lines = "\n".join(self._lines())
        with self._requirements_file(host, lines) as path:
            words = [f"{self.path}/bin/python", "-m", "pip", "install", *options, "-r", path]
            host.run(words, timeout=self.timeout or 3600.0, **self._account(host))
        with host.change("note the requirements of", self.path):
            os.makedirs(MARKERS, mode=0o700, exist_ok=True)
            write_private(self._marker(), content_hash(lines.encode()).encode() + b"\n")

    @contextlib.contextmanager
    def _requirements_file(self, host: System, lines: str) -> Iterator[str]:
        """The file itself, as a line of it may name others beside it; of a list, one that the owner can read."""
        if isinstance(self.requirements, str):
            yield self.requirements
            return
        path = host.scratch("/tmp/cookline-requirements-")
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                uid, gid = uid_and_gid(host, self.owner, self.group)
                os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
                file.write(lines + "\n")
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def predict(self, host: Overlay, changes: Changes) -> None:
        if not self.exists:
            self._remove(host)
            return
        if host.status(self.path) is None:
            host.make_directory(self.path)
            uid, gid = uid_and_gid(host, self.owner, self.group)
            host.change_owner(self.path, -1 if uid is None else uid, -1 if gid is None else gid)
        host.cannot_foresee(self.name, self.path)
        host.settle(self.name, self.desired(), self.path)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """An environment that was made goes; another set of packages does not come back."""
        return Virtualenv(self.path, exists=False) if self.exists and host.status(self.path) is None else None

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [f"{self.path}/pyvenv.cfg"]

    def declaration(self) -> Dict[str, Any]:
        requirements: Any = self.requirements if isinstance(self.requirements, str) else list(self.requirements)
        names = ("path", "python", "pip", "exists", "sensitive")
        return {**{name: getattr(self, name) for name in names}, "requirements": requirements}


def _normal(name: str) -> str:
    """As package indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
