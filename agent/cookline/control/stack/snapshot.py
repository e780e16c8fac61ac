"""What a run is told of its stack, and what the resident agent is told of its host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookline.control.stack.run_list import apps_of, instance_named

if TYPE_CHECKING:
    from cookline.control.stack.definition import Definition
    from cookline.control.stack.revision import Revision

# About ten days of the sixteen metrics at one a minute; then the oldest go, and the spool says so.
SPOOL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Standing:
    """What the store knows of an instance: its immutable id, where it is, and one of the twenty state words.

    `online` is said of an instance that reboots: the others go on to count on it.
    One that is `draining` is about to leave: balancers are told that it is not online.
    """

    id: str
    address: str | None = None
    private_address: str | None = None
    state: str = "stopped"
    online: bool = False
    draining: bool = False


def snapshot(
    revision: Revision,
    *,
    store: str,
    number: int,
    stack_id: str,
    instances: Mapping[str, Standing],
    deploy: Collection[str] = (),
    instance: str | None = None,
) -> dict[str, Any]:
    """RunRequest.snapshot: every instance and layer of the stack, and the apps of `instance` (None: all apps).

    Secrets in the apps' environments are references; an instance is told of no app that does not run on it. `deploy` are the
    apps that this event deploys.
    """
    stack = revision.stack
    apps = list(stack.apps) if instance is None else apps_of(stack, instance)
    return {
        "store": store,
        "number": number,
        "stack": {"name": stack.name, "id": stack_id},
        "layers": {name: {"name": layer.name or name} for name, layer in stack.layers.items()},
        "instances": [
            _instance(name, host.layers, instances[name]) for name, host in stack.instances.items() if name in instances
        ],
        "apps": {name: _app(revision, name, name in deploy) for name in apps},
    }


def _instance(name: str, layers: Sequence[str], standing: Standing) -> dict[str, Any]:
    return {
        "name": name,
        "id": standing.id,
        "address": standing.address,
        "private_address": standing.private_address or standing.address,
        "layers": list(layers),
        "state": standing.state,
        "online": (standing.online or standing.state == "online") and not standing.draining,
    }


def _app(revision: Revision, name: str, deploy: bool) -> dict[str, Any]:
    app = revision.stack.apps[name]
    tree = revision.trees.get(f"app:{name}")
    manifest = revision.manifests[tree] if tree else []
    return {
        "name": name,
        "title": app.name or name,
        "layers": list(app.layers),
        "environment": dict(app.environment),
        "keep_releases": app.keep_releases,
        "deploy": deploy,
        "source": _source(revision, name) if app.source and manifest else None,
        "artifact": tree,
    }


def _source(revision: Revision, name: str) -> dict[str, Any]:
    """What a recipe may know of where its app comes from: no URL, no credentials."""
    source = revision.stack.apps[name].source
    assert source is not None
    [[_path, _mode, sha256]] = revision.manifests[revision.trees[f"app:{name}"]]
    return {"type": source.type, "sha256": sha256, **revision.sources.get(name, {})}


def agent_settings(
    definition: Definition, instance: str, *, instance_id: str, stack_id: str, layer_ids: Sequence[str]
) -> dict[str, Any]:
    """RunRequest.agent: what the resident agent does on this host. Keys of an endpoint are secret references still.

    Of several layers the shortest drift interval counts; a file is watched when any of them says so.
    """
    stack = definition.stack
    host = instance_named(stack, instance)
    metrics = stack.metrics
    drifts = [stack.layers[name].drift for name in host.layers]
    nearest = min(drifts, key=lambda drift: drift.interval or float("inf"))
    report: str | dict[str, Any] = "ssh"
    if (host.report or metrics.report) == "https":
        report = {
            "endpoint": metrics.endpoint,
            "region": metrics.region,
            "access_key": metrics.access_key,
            "secret_key": metrics.secret_key,
            "ca": metrics.ca,
        }
    return {
        "instance": instance,
        "instance_id": instance_id,
        "stack": stack.name,
        "stack_id": stack_id,
        "layers": list(layer_ids),
        "metrics": {"period": metrics.period, "namespace": metrics.namespace},
        "drift": {
            "interval": nearest.interval,
            "splay": nearest.splay,
            "watch": any(drift.watch for drift in drifts),
            "policy": "report" if any(drift.policy == "report" for drift in drifts) else "correct",
        },
        "report": report,
        "spool": {"max_bytes": SPOOL_BYTES},
    }
