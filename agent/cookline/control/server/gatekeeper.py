"""Decides whether somebody may do something, and writes down that they asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cookline.errors import CooklineError

if TYPE_CHECKING:
    from cookline.control.store.access import Token
    from cookline.control.store.store import Store

# The smallest scope that reaches each command; what is not listed needs the largest.
SCOPE_OF = {
    "show": ("app", "diff", "docs", "drift", "explain", "facts", "history", "plan", "runs", "show", "status"),
    "deploy": (
        "attach",
        "cancel",
        "configure",
        "deploy",
        "resume",
        "rollback",
        "run",
        "setup",
        "undeploy",
        "undo",
        "pause",
        "abort",
        "install_dependencies",
        "update_dependencies",
    ),
}
# A wrong token costs its sender this long, so that guessing is slow.
WRONG_TOKEN_SECONDS = 0.5


class Forbidden(CooklineError):
    """The token does not reach this; `status` is the HTTP status of the refusal."""

    def __init__(self, message: str, status: int = 403, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Caller:
    """Who asks, and from where; `token` is None for whoever may use the Unix socket: the server's own user."""

    name: str
    origin: str
    token: Token | None = None

    @property
    def label(self) -> str:
        """Who gave a command, as it is kept with it; "" for the server's own user."""
        return f"{self.name}@{self.origin}" if self.token is not None else ""


class Gatekeeper:
    def __init__(self, store: Store) -> None:
        self.store = store

    def caller(self, authorization: str | None, origin: str) -> Caller:
        """The caller with this Authorization header ("Bearer TOKEN"). Raises Forbidden (401)."""
        kind, _, text = (authorization or "").partition(" ")
        token = self.store.tokens.find(text.strip()) if kind.lower() == "bearer" else None
        if token is None:
            if text:
                time.sleep(WRONG_TOKEN_SECONDS)
            hint = "`cookline token create NAME` on the server makes one; COOKLINE_TOKEN carries it"
            raise Forbidden("no valid token was given", 401, hint=hint)
        return Caller(token.name, origin, token)

    def check_gates(self, caller: Caller, gates: Iterable[str]) -> None:
        """Raises Forbidden for a gate that would run a command on the server: a token reaches hosts, not this machine."""
        if caller.token is not None and any(gate.strip().startswith("command:") for gate in gates):
            hint = "gates like http://{address}:8080/health and ssh:COMMAND are for everybody"
            raise Forbidden("a gate that runs a command on the server is for the server's own user", hint=hint)

    def admit(self, caller: Caller, command: str, stack: str | None, what: str) -> int:
        """Write the request to the audit log; its number. Raises Forbidden, which stands in the log as well."""
        needed = next((scope for scope, commands in SCOPE_OF.items() if command in commands), "manage")
        allowed = caller.token is None or caller.token.may(needed, stack)
        number = self.store.audit.write(caller.name, caller.origin, what[:2000], stack, allowed=allowed)
        if not allowed:
            where = f"stack {stack}" if stack else "every stack"
            raise Forbidden(f"{command} needs the scope {needed} on {where}, which token {caller.name!r} does not have")
        return number
