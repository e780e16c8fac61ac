"""One login on a jump host for all the connections that go through it; fifty at once would be dropped by its MaxStartups."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cookline.control.transport.ssh.route import Hop


class Login(Protocol):
    def is_active(self) -> bool: ...

    def close(self) -> None: ...


Session = TypeVar("Session", bound=Login)


@dataclass
class Jump(Generic[Session]):
    login: Session | None = None
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class SharedJumps(Generic[Session]):
    """Logins by the hops that lead to them; `reach` logs in on the last of some hops."""

    def __init__(self, reach: Callable[[tuple[Hop, ...]], Session]) -> None:
        self._reach = reach
        self._jumps: dict[tuple[Hop, ...], Jump[Session]] = {}
        self._lock = threading.Lock()

    def acquire(self, hops: tuple[Hop, ...]) -> Session:
        """The login at the end of `hops`, for one user more."""
        with self._lock:
            jump = self._jumps.setdefault(hops, Jump())
        with jump.lock:
            if jump.login is None or not jump.login.is_active():
                jump.login = self._reach(hops)
                jump.users = 0
            jump.users += 1
            return jump.login

    def release(self, hops: tuple[Hop, ...]) -> None:
        """One user less; the last one closes the login."""
        jump = self._jumps.get(hops)
        if jump is None:
            return
        with jump.lock:
            jump.users -= 1
            if jump.users > 0 or jump.login is None:
                return
            jump.login.close()
            jump.login = None
        self.release(hops[:-1])
