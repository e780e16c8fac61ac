"""Who may do what over the network: tokens, of which only hashes are kept, and the log of what was done with them."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

from cookline.control.store.database import Database
from cookline.control.store.identifiers import new_identifier
from cookline.errors import SelectorError, UsageError, did_you_mean

# Each scope holds those before it (features O86). Whoever may run recipes on a host is root there.
SCOPES = ("show", "deploy", "manage")
EVERY_STACK = "*"
PREFIX = "cookline_"


@dataclass(frozen=True)
class Token:
    """`scopes` maps a stack's name, or "*", to show, deploy or manage; times are epoch seconds."""

    id: str
    name: str
    scopes: Mapping[str, str]
    created: float
    expires: float | None = None
    revoked: float | None = None
    used: float | None = None

    def may(self, scope: str, stack: str | None) -> bool:
        """Whether the token reaches `scope` on a stack; `stack` None means on every stack."""
        granted = [self.scopes.get(EVERY_STACK)] + ([self.scopes.get(stack)] if stack else [])
        return any(each is not None and SCOPES.index(each) >= SCOPES.index(scope) for each in granted)


@dataclass(frozen=True)
class Entry:
    """One line of the audit log. `origin` is an address or "local"; `exit_code` None while the command goes on."""

    at: float
    who: str
    origin: str
    what: str
    stack: str | None
    allowed: bool
    exit_code: int | None = None


class Tokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scopes: Mapping[str, str], *, lifetime: float | None = None) -> tuple[Token, str]:
        """A new token and its text, which is shown this once. Raises UsageError for a taken name or an unknown scope."""
        for scope in scopes.values():
            if scope not in SCOPES:
                raise UsageError(f"{scope!r} is not a scope{did_you_mean(scope, SCOPES)}", hint=f"scopes: {', '.join(SCOPES)}")
        if self._database.row("SELECT 1 FROM tokens WHERE name=?", (name,)):
            raise UsageError(f"there is a token called {name!r} already", hint=f"cookline token revoke {name}")
        text = PREFIX + secrets.token_urlsafe(32)
        now = time.time()
        token = Token(new_identifier(), name, dict(scopes), now, now + lifetime if lifetime else None)
        row = {each.name: getattr(token, each.name) for each in fields(Token)}
        self._database.insert("tokens", {**row, "hash": _hash(text)})
        return token, text

    def all(self) -> list[Token]:
        return [_token(row) for row in self._database.rows("SELECT * FROM tokens ORDER BY name")]

    def find(self, text: str) -> Token | None:
        """The valid token with this text. A text is random and 256 bits long, so its plain hash is found by equality."""
        row = self._database.row("SELECT * FROM tokens WHERE hash=? AND revoked IS NULL", (_hash(text),))
        if row is None or (row["expires"] is not None and row["expires"] < time.time()):
            return None
        self._database.execute("UPDATE tokens SET used=? WHERE id=?", (time.time(), row["id"]))
        return _token(row)

    def revoke(self, name: str) -> None:
        """From now on nobody may use it; its name is free again. Raises SelectorError."""
        changed = self._database.execute(
            "UPDATE tokens SET revoked=?, name=name || ' (revoked ' || id || ')' WHERE name=? AND revoked IS NULL",
            (time.time(), name),
        )
        if not changed:
            names = [token.name for token in self.all() if token.revoked is None]
            raise SelectorError(f"there is no token {name!r}{did_you_mean(name, names)}")


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, who: str, origin: str, what: str, stack: str | None, *, allowed: bool) -> int:
        """Note what somebody asks for, before it is done; returns the entry's number."""
        row = {"at": time.time(), "who": who, "origin": origin, "what": what, "stack": stack, "allowed": int(allowed)}
        return self._database.insert("audit", row)

    def ended(self, number: int, exit_code: int) -> None:
        self._database.execute("UPDATE audit SET exit_code=? WHERE rowid=?", (exit_code, number))

    def newest(self, limit: int = 100, stack: str | None = None) -> list[Entry]:
        """Newest first."""
        where, values = ("WHERE stack=?", [stack]) if stack else ("", [])
        rows = self._database.rows(f"SELECT * FROM audit {where} ORDER BY rowid DESC LIMIT ?", [*values, limit])
        return [Entry(**{each.name: row[each.name] for each in fields(Entry)}) for row in rows]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _token(row: sqlite3.Row) -> Token:
    values = {each.name: row[each.name] for each in fields(Token)}
    return Token(**{**values, "scopes": json.loads(row["scopes"])})
