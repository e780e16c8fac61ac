"""The instances of each stack: what the store knows of a host between two commands."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from cookline.control.store.database import Database
from cookline.control.store.identifiers import new_identifier


@dataclass(frozen=True)
class Instance:
    """One instance; times are seconds of the epoch by the controller's clock.

    id                  immutable: it survives pushes, stops, new addresses
    state               one of OpsWorks' 20 words (lifecycle/states.py)
    host                address, port, user, identity_file, known_host as the provider told last, or {}
    contact             when the host last answered anything
    heartbeat           when the resident agent was last known alive
    owed                later actions that the last run left behind
    stopped_on_purpose  by `cookline stop` or `shutdown`: a command on the whole stack leaves it alone
    why                 why it is in its state, where no run says it
    acknowledged        highest spool sequence that was taken over
    draining            the command for which balancers leave it out at the moment
    facts               what its last run said of the host (os, cpu, ..)
    """

    id: str
    stack_id: str
    name: str
    state: str
    layers: list[str]
    provider: str
    created: float
    online_since: float | None = None
    stopped_on_purpose: bool = False
    last_run: str | None = None
    last_event: str | None = None
    last_outcome: str | None = None
    last_reason: str | None = None
    last_changed: int | None = None
    last_at: float | None = None
    host: Mapping[str, Any] = field(default_factory=dict)
    contact: float | None = None
    heartbeat: float | None = None
    owed: list[Any] = field(default_factory=list)
    acknowledged: int = 0
    draining: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    def online(self) -> bool:
        """Whether the others count on it: also while it reboots, which fires no event."""
        return self.state == "online" or (self.state == "rebooting" and self.online_since is not None)

    @property
    def address(self) -> str | None:
        return self.host.get("address")

    def heartbeat_age(self, now: float | None = None) -> float | None:
        """Seconds since the last sign of life, None when there never was one. Never negative (the clock may have jumped).

        Without an agent's heartbeat it is the time since the last contact; `heartbeat_of` says which.
        """
        seen = self.heartbeat if self.heartbeat is not None else self.contact
        return None if seen is None else max(0.0, (time.time() if now is None else now) - seen)

    @property
    def heartbeat_of(self) -> str | None:
        """ "agent", "contact" (nothing was collected from its agent yet) or None."""
        if self.heartbeat is not None:
            return "agent"
        return "contact" if self.contact is not None else None


COLUMNS = tuple(each.name for each in fields(Instance))


class Instances:
    """`changes` counts, for this process, how often what a snapshot shows (states, addresses, names) was written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes = 0

    def of(self, stack_id: str) -> list[Instance]:
        """Every instance that the newest revision names, by name."""
        rows = self._database.rows("SELECT * FROM instances WHERE stack_id=? AND removed IS NULL ORDER BY name", (stack_id,))
        return [_instance(row) for row in rows]

    def get(self, instance_id: str) -> Instance:
        row = self._database.row("SELECT * FROM instances WHERE id=?", (instance_id,))
        if row is None:
            raise LookupError(f"no instance has the id {instance_id}")
        return _instance(row)

    def all(self) -> list[Instance]:
        return [
            _instance(row)
            for row in self._database.rows("SELECT * FROM instances WHERE removed IS NULL ORDER BY stack_id, name")
        ]

    def declare(
        self, stack_id: str, declared: Mapping[str, tuple[Sequence[str], str]], *, first_state: str = "stopped"
    ) -> None:
        """Bring the table in line with a revision: `declared` maps names to (layers, provider).

        A name that comes back gets its old id, and begins anew if it was terminated; one that is gone is only marked so.
        """
        self.changes += 1
        with self._database.transaction():
            rows = self._database.rows("SELECT id, name, state FROM instances WHERE stack_id=?", (stack_id,))
            known = {row["name"]: row["id"] for row in rows}
            terminated = {row["name"] for row in rows if row["state"] == "terminated"}
            for name, (layers, provider) in declared.items():
                values = {"layers": list(layers), "provider": provider, "removed": None}
                if name in terminated:
                    values |= {"state": first_state, "host": None, "contact": None, "heartbeat": None, "owed": []}
                if name in known:
                    self._database.update("instances", "id", known[name], values)
                else:
                    fresh = {
                        "id": new_identifier(),
                        "stack_id": stack_id,
                        "name": name,
                        "state": first_state,
                        "created": time.time(),
                    }
                    self._database.insert("instances", {**fresh, **values})
            for name in known.keys() - declared.keys():
                self._database.execute(
                    "UPDATE instances SET removed=? WHERE id=? AND removed IS NULL", (time.time(), known[name])
                )

    def relocate(self, stack_id: str, addresses: Mapping[str, str]) -> None:
        """Where hosts are that are only described: nobody but their definition says so. Not for those that were never up."""
        for instance in self.of(stack_id):
            address = addresses.get(instance.name)
            if address and instance.host and instance.address != address:
                self.record(instance.id, host={**instance.host, "address": address})

    def let_go(self, stack_id: str) -> list[str]:
        """Names of instances that a revision has left out while they were online."""
        sql = "SELECT name FROM instances WHERE stack_id=? AND removed IS NOT NULL AND state='online' ORDER BY name"
        return [row["name"] for row in self._database.rows(sql, (stack_id,))]

    def record(self, instance_id: str, **values: Any) -> None:
        """Set columns. The state is not set here but by `lifecycle.states.move`, which knows what is legal."""
        self._database.update("instances", "id", instance_id, values)
        self.changes += bool(values.keys() & {"state", "host", "draining"})

    def seen(self, instance_id: str) -> None:
        """The host answered now."""
        self.record(instance_id, contact=time.time())

    def heartbeat(self, instance_id: str, age: float) -> None:
        """The host's agent was alive `age` seconds ago."""
        self.record(instance_id, heartbeat=time.time() - age)


def _instance(row: sqlite3.Row) -> Instance:
    values = {name: row[name] for name in COLUMNS}
    values |= {"layers": json.loads(row["layers"]), "owed": json.loads(row["owed"]), "host": json.loads(row["host"] or "{}")}
    values["facts"] = json.loads(row["facts"])
    return Instance(**{**values, "stopped_on_purpose": bool(row["stopped_on_purpose"])})
