"""Script: some lines of a shell or another interpreter."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from cookline.errors import ResourceUsageError
from cookline.host import accounts
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.execute import Execute
from cookline.host.system import System

# On a tmpfs: nothing of the script outlives it.
PLACE = "/run"


class Script(Resource):
    """Run code by an interpreter each time, or, with `creates`, `only_if` or `not_if`, only when it is wanted. The code stands
    in no argument that others could list: it lies below /run, for its user alone, while it runs.

    title           what the script does; its name in reports
    code            its lines
    interpreter     a program and its options, as "bash -e", "python3", "perl -w"
    All other fields are Execute's:
    creates         a path: the script runs only when nothing is there, and must bring it
    cwd             its directory
    user, group     who runs it; None is root
    environment     variables added to the fixed environment of a run
    input           text for its standard input
    returns         exit statuses that are good
    umask           octal, "0022" by default

    >>> Script("count", "for i in 1 2 3; do echo $i; done > /srv/count", creates="/srv/count").desired()
    {'created': True}
    """

    title: str
    code: str = field(default="", repr=False)
    interpreter: str = field(default="/bin/sh -e", kw_only=True)
    creates: Optional[str] = field(default=None, kw_only=True)
    cwd: str = field(default="/", kw_only=True)
    user: Optional[str] = field(default=None, kw_only=True)
    group: Optional[str] = field(default=None, kw_only=True)
    environment: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    input: Optional[str] = field(default=None, kw_only=True, repr=False)
    returns: Union[int, Sequence[int]] = field(default=(0,), kw_only=True)
    umask: Union[str, int] = field(default="0022", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.title, str) or not self.title.strip():
            raise ResourceUsageError("Script needs a title that says what it does")
        if not self.code.strip():
            raise ResourceUsageError(f"Script[{self.title}] has no code")
        if not self.interpreter.split():
            raise ResourceUsageError(f"Script[{self.title}] has no interpreter")
        self._set(creates=self._execute("").creates, has_state=self.creates is not None)

    def _execute(self, path: str) -> Execute:
        names = ("creates", "cwd", "user", "group", "environment", "input", "returns", "umask", "timeout")
        return Execute([*self.interpreter.split(), path], **{name: getattr(self, name) for name in names})

    def current(self, host: System) -> State:
        return self._execute("").current(host)

    def desired(self) -> State:
        return self._execute("").desired()

    def apply(self, host: System, changes: Changes) -> None:
        directory = host.scratch(f"{PLACE}/cookline-script-")
        path = f"{directory}/script"
        uid = None if self.user is None else accounts.uid_of(host, self.user)
        host.make_directory(directory, mode="0711")
        try:
            host.write(path, self.code.encode(), mode="0400", uid=uid)
            self._execute(path).apply(host, changes)
        finally:
            host.remove_tree(directory)

    def predict(self, host: Any, changes: Changes) -> None:
        self._execute("").predict(host, changes)

    def watched_paths(self) -> List[str]:
        return [self.creates] if self.creates is not None else []

    def declaration(self) -> Dict[str, Any]:
        """The code may hold secrets; its place in the inventory is taken by a word."""
        return {"title": self.title, "code": "kept out of the inventory", "creates": self.creates}
