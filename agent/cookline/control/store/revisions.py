"""Pushed definitions: immutable, numbered from 1 per stack, with author, message and time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cookline.control.store.database import Database
from cookline.control.store.identifiers import new_identifier
from cookline.errors import SelectorError, did_you_mean


@dataclass(frozen=True)
class Pushed:
    """One revision as it was pushed.

    hash     of definitions and contents: equal pushes have equal hashes
    content  the frozen revision as plain data (control/stack/revision.py reads it back), secrets as references
    """

    stack_id: str
    stack: str
    number: int
    author: str
    message: str
    at: float
    hash: str
    content: Mapping[str, Any]


class Revisions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def stacks(self) -> list[str]:
        return [row["name"] for row in self._database.rows("SELECT name FROM stacks ORDER BY name")]

    def stack_id(self, name: str) -> str:
        """The immutable id of a pushed stack. Raises SelectorError for a name that was never pushed."""
        row = self._database.row("SELECT id FROM stacks WHERE name=?", (name,))
        if row is None:
            known = self.stacks()
            raise SelectorError(
                f"no stack {name!r} was pushed here{did_you_mean(name, known)}",
                hint=f"known: {', '.join(known)}" if known else "`cookline push stacks/NAME.yml` pushes one",
            )
        return str(row["id"])

    def name_of(self, stack_id: str) -> str:
        row = self._database.row("SELECT name FROM stacks WHERE id=?", (stack_id,))
        if row is None:
            raise LookupError(f"no stack has the id {stack_id}")
        return str(row["name"])

    def push(self, stack: str, content: Mapping[str, Any], hash: str, *, author: str, message: str = "") -> Pushed:
        """Keep a revision. One whose hash is the newest's is not kept twice: the newest is returned."""
        with self._database.transaction():
            stack_id = self._stack(stack)
            newest = self._newest(stack_id)
            if newest and newest.hash == hash:
                return newest
            number = newest.number + 1 if newest else 1
            row = {"stack_id": stack_id, "number": number, "author": author, "message": message, "at": time.time()}
            self._database.insert("revisions", {**row, "hash": hash, "content": dict(content)})
        return self.get(stack, number)

    def get(self, stack: str, number: int | None = None) -> Pushed:
        """Revision `number` of the stack, the newest without. Raises SelectorError."""
        stack_id = self.stack_id(stack)
        found = self._newest(stack_id) if number is None else self._numbered(stack_id, number)
        if found is None:
            raise SelectorError(f"stack {stack!r} has no revision {number}", hint=f"`cookline history {stack}` lists them")
        return found

    def newest(self, stack: str) -> int:
        """The number of the newest revision; its content, which can be large, is not read. Raises SelectorError."""
        sql = "SELECT max(number) AS number FROM revisions WHERE stack_id=?"
        row = self._database.row(sql, (self.stack_id(stack),))
        assert row is not None and row["number"] is not None, "a stack is made by its first push"
        return int(row["number"])

    def all(self, stack: str) -> list[Pushed]:
        """Oldest first."""
        return [
            _pushed(row) for row in self._database.rows(f"{_SELECT} WHERE stack_id=? ORDER BY number", (self.stack_id(stack),))
        ]

    def _stack(self, name: str) -> str:
        row = self._database.row("SELECT id FROM stacks WHERE name=?", (name,))
        if row is not None:
            return str(row["id"])
        stack_id = new_identifier()
        self._database.insert("stacks", {"id": stack_id, "name": name, "created": time.time()})
        return stack_id

    def _newest(self, stack_id: str) -> Pushed | None:
        row = self._database.row(f"{_SELECT} WHERE stack_id=? ORDER BY number DESC LIMIT 1", (stack_id,))
        return _pushed(row) if row else None

    def _numbered(self, stack_id: str, number: int) -> Pushed | None:
        row = self._database.row(f"{_SELECT} WHERE stack_id=? AND number=?", (stack_id, number))
        return _pushed(row) if row else None


_SELECT = "SELECT revisions.*, stacks.name AS stack FROM revisions JOIN stacks ON stacks.id = revisions.stack_id"


def _pushed(row: sqlite3.Row) -> Pushed:
    names = ("stack_id", "stack", "number", "author", "message", "at", "hash")
    return Pushed(**{name: row[name] for name in names}, content=json.loads(row["content"]))
