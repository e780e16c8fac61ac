"""Snapshots of a stack, numbered per store: a host that has seen number n of a store refuses every smaller one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from cookline.control.store.database import Database
from cookline.protocol import canonical_json


class Snapshots:
    def __init__(self, database: Database, store_id: str) -> None:
        self._database = database
        self.store_id = store_id

    def take(self, stack_id: str, content: Mapping[str, Any]) -> int:
        """Keep `content` under the next number; when nothing changed since the newest of the stack, that one's number."""
        text = canonical_json(dict(content))
        with self._database.transaction():
            newest = self._database.row("SELECT * FROM snapshots WHERE stack_id=? ORDER BY number DESC LIMIT 1", (stack_id,))
            if newest is not None and newest["content"] == text:
                return int(newest["number"])
            return self._database.insert("snapshots", {"stack_id": stack_id, "at": time.time(), "content": text})

    def get(self, number: int) -> dict[str, Any]:
        row = self._database.row("SELECT content FROM snapshots WHERE number=?", (number,))
        if row is None:
            raise LookupError(f"snapshot {number} is not kept")
        content: dict[str, Any] = json.loads(row["content"])
        return content

    def newest(self, stack_id: str) -> int:
        """0 when none was taken."""
        row = self._database.row("SELECT max(number) AS newest FROM snapshots WHERE stack_id=?", (stack_id,))
        return int(row["newest"] or 0) if row else 0
