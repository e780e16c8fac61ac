"""Execute: a command, for what no other kind does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

# Seconds (features R17).
TIMEOUT = 3600.0


class Execute(Resource):
    """Run a command each time, or, with `creates`, `only_if` or `not_if`, only when it is wanted.

    command         a string for /bin/sh, or a list of words that runs without a shell
    creates         a path: the command runs only when nothing is there, and must bring it
    cwd             its directory
    user, group     who runs it; None is root
    environment     variables added to the fixed environment of a run
    input           text for its standard input; keep secrets here, not in the command, which everybody can list
    returns         exit statuses that are good
    umask           octal, "0022" by default
    timeout         seconds, 3600 by default; then the command and all it started are killed

    >>> Execute("tar -xf shop.tar", cwd="/opt", creates="/opt/shop").desired()
    {'created': True}
    >>> Execute(["newaliases"]).name
    'Execute[newaliases]'
    """

    command: Union[str, Sequence[str]]
    creates: Optional[str] = field(default=None, kw_only=True)
    cwd: str = field(default="/", kw_only=True)
    user: Optional[str] = field(default=None, kw_only=True)
    group: Optional[str] = field(default=None, kw_only=True)
    environment: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    input: Optional[str] = field(default=None, kw_only=True, repr=False)
    returns: Sequence[int] = field(default=(0,), kw_only=True)
    umask: Union[str, int] = field(default="0022", kw_only=True)

    def __post_init__(self) -> None:
        if not self.command:
            raise ResourceUsageError(f"Execute needs a command, not {self.command!r}")
        if self.creates is not None:
            self._set(creates=absolute_path("Execute", self.creates))
        if isinstance(self.returns, int):
            self._set(returns=(self.returns,))
        if any(type(status) is not int for status in self.returns):
            raise ResourceUsageError(f"Execute: returns takes exit statuses as numbers, not {self.returns!r}")
        # What was run leaves no state to look at, but what it creates does.
        self._set(has_state=self.creates is not None)

    @property
    def identity(self) -> str:
        return self.command if isinstance(self.command, str) else " ".join(self.command)

    def current(self, host: System) -> State:
        if self.creates is not None:
            return {"created": host.exists(self.creates)}
        return {"executed": False}

    def desired(self) -> State:
        return {"created": True} if self.creates is not None else {"executed": True}

    def apply(self, host: System, changes: Changes) -> None:
        host.run(
            self.command,
            ok=tuple(self.returns),
            cwd=self.cwd,
            user=self.user,
            group=self.group,
            env={name: str(value) for name, value in self.environment.items()},
            input=self.input,
            umask=int(self.umask, 8) if isinstance(self.umask, str) else self.umask,
            timeout=self.timeout or TIMEOUT,
        )

    def predict(self, host: Overlay, changes: Changes) -> None:
        """What it creates will be there; what else the command does, nobody knows."""
        host.cannot_foresee(self.name)
        if self.creates is not None and not host.exists(self.creates):
            with contextlib.suppress(ResourceError):  # it may make the directory around it too
                host.put_unknown(self.creates, self.name)

    def watched_paths(self) -> List[str]:
        return [self.creates] if self.creates is not None else []

    def declaration(self) -> Dict[str, Any]:
        """The command stands for the name only; input and environment may hold secrets."""
        return {"command": self.command, "creates": self.creates}
