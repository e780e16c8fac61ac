"""Runs of the working tree: a revision that is frozen for the moment, kept nowhere, and sent to a host as any other."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cookline.control.stack.attributes import merged_attributes
from cookline.control.stack.revision import Revision
from cookline.control.stack.run_list import apps_of
from cookline.control.stack.secret_resolver import Resolver
from cookline.control.stack.snapshot import Standing, snapshot
from cookline.control.store.identifiers import new_identifier
from cookline.protocol import RunRequest

# The store that the kitchen's snapshots are of: hosts of the kitchen belong to nobody else.
STORE = "kitchen"


class WorkingTrees:
    """A revision's trees out of the files that it was frozen from (transport's Trees)."""

    def __init__(self, revision: Revision) -> None:
        self._manifests = revision.manifests
        self._blobs = {blob.sha256: blob for blob in revision.blobs}

    def manifest(self, tree: str) -> list[list[str]]:
        return [list(entry) for entry in self._manifests[tree]]

    def open(self, content: str) -> BinaryIO:
        """Raises StackError when the file has changed since it was hashed."""
        return io.BytesIO(self._blobs[content].read())


def request_of(
    revision: Revision,
    instance: str,
    event: str,
    recipes: Sequence[str],
    *,
    directory: Path,
    stack_id: str = STORE,
    snapshot: Mapping[str, Any],
    apply: bool = True,
    lock_wait: float = 30.0,
) -> RunRequest:
    """A run of `recipes` on `instance`. `directory` is .cookline, where generated secrets are kept."""
    resolver = Resolver(directory, base=revision.directory)
    apps = apps_of(revision.stack, instance)
    app = apps[0] if len(apps) == 1 and event in ("deploy", "undeploy") else None
    return RunRequest(
        run=new_identifier(),
        instance=instance,
        instance_id=next((each["id"] for each in snapshot["instances"] if each["name"] == instance), instance),
        stack=revision.stack.name,
        event=event,
        recipes=list(recipes),
        attributes=resolver.resolve(merged_attributes(revision, instance, app=app)),
        snapshot=resolver.resolve(snapshot),
        trees=dict(revision.trees_for(recipes, apps)),
        apply=apply,
        lock_wait=lock_wait,
        app=app,
        secrets=resolver.values,
    )


def mock_snapshot(revision: Revision, instance: str, address: str, mock: Mapping[str, Any], *, event: str) -> dict[str, Any]:
    """What a host of the kitchen is told: itself, online, and the neighbours that its suite speaks of.

    In the suite of a stack those instances that the suite says nothing of are online too, at addresses of documentation.
    """
    others = {name for name in revision.stack.instances if name != instance} - {each["name"] for each in mock["instances"]}
    standings = {
        name: Standing(f"kitchen-{name}", f"192.0.2.{200 + number % 50}", state="online")
        for number, name in enumerate(revision.stack.instances)
        if name in others
    }
    standings[instance] = Standing(f"kitchen-{instance}", address, state="online")
    deploys = apps_of(revision.stack, instance) if event in ("setup", "deploy", "undeploy") else ()
    made = snapshot(
        revision,
        store=STORE,
        number=int(time.time() * 1000),
        stack_id=STORE,
        instances=standings,
        deploy=deploys,
        instance=instance,
    )
    made["layers"] = {**mock["layers"], **made["layers"]}
    made["instances"] = [*made["instances"], *(each for each in mock["instances"] if each["name"] != instance)]
    made["apps"] = {**mock["apps"], **made["apps"]}
    return made
