"""The numbered snapshot of a stack that goes to a host with each run.

What stands under a number is kept in the store: who is where, in which state. It is made once for all runs that begin while
nothing changes: a burst on n hosts would cost n times n entries otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision
    from cookline.control.stack.secret_resolver import Resolver
    from cookline.control.store.instances import Instance
    from cookline.control.store.runs import RunRecord
    from cookline.control.store.store import Store


class Snapshots:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[tuple[int, int], int]] = {}
        self._instances: tuple[int, list[dict[str, Any]]] = (-1, [])

    def take(self, stack_id: str, revision: int) -> int:
        """The number of the stack as it stands now; a new one only when something changed since the last."""
        # the store's lock first, as everywhere: a caller may be in the middle of a transaction
        with self._store.database.transaction(), self._lock:
            version = (revision, self._store.instances.changes)
            known = self._newest.get(stack_id)
            if known is None or known[0] != version:
                content = _standings(self._store.instances.of(stack_id), revision)
                known = self._newest[stack_id] = (version, self._store.snapshots.take(stack_id, content))
            return known[1]

    def of_run(
        self,
        revision: Revision,
        run: RunRecord,
        instance: Instance,
        apps: Sequence[str],
        resolver: Resolver,
        *,
        rollback: bool = False,
    ) -> dict[str, Any]:
        """RunRequest.snapshot for a run that has begun; `apps` are those that it deploys (or rolls back)."""
        from cookline.control.stack.snapshot import snapshot

        assert run.snapshot is not None
        stack_id = instance.stack_id
        own: dict[str, Any] = snapshot(
            revision,
            store=self._store.id,
            number=run.snapshot,
            stack_id=stack_id,
            instances={},
            deploy=apps,
            instance=instance.name,
        )
        own["apps"] = resolver.resolve(own["apps"])
        own["instances"] = self._instances_of(revision, run.snapshot)
        for app in apps if rollback else ():
            own["apps"][app]["rollback"] = 1
        return own

    def _instances_of(self, revision: Revision, number: int) -> list[dict[str, Any]]:
        from cookline.control.stack.snapshot import Standing, snapshot

        with self._store.database.transaction(), self._lock:
            if self._instances[0] != number:
                kept: Mapping[str, Any] = self._store.snapshots.get(number)["instances"]
                known = {name: Standing(**standing) for name, standing in kept.items()}
                made = snapshot(revision, store="", number=number, stack_id="", instances=known)
                self._instances = (number, made["instances"])
            return self._instances[1]


def _standings(instances: Sequence[Instance], revision: int) -> dict[str, Any]:
    """What the store keeps under a number."""
    return {
        "revision": revision,
        "instances": {
            each.name: {"id": each.id, "address": each.address, "private_address": each.address, "state": each.state}
            | ({"online": True} if each.online else {})
            | ({"draining": True} if each.draining else {})
            for each in instances
        },
    }
