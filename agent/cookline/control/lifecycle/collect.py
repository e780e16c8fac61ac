"""What the agents have gathered, fetched over SSH: metrics to the sink, heartbeats and findings to the store.

Only records that are about the host that sent them are believed: everything else is dropped and noted (a host must not be
able to speak for another one: scaling and healing act on this).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookline.errors import AuthenticationError, BecomeError, CooklineError, HostKeyError, PythonMissing, Unreachable

if TYPE_CHECKING:
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store
    from cookline.control.transport.conversation import Conversation

# Takes MetricData as PutMetricData does: sink(namespace, [{"MetricName", "Dimensions", "Timestamp", "Value", "Unit"}, ..]).
Sink = Callable[[str, Sequence[Mapping[str, Any]]], None]

# One answer holds 16 metrics of about an hour; a host that was away longer is asked again.
RECORDS_AT_ONCE = 1000
# Values of cookbooks come in the namespace of their stack, and no host may write to another one.
CUSTOM = "Cookline/"
# A host that lies about its spool must not keep us busy: the spool is bounded at 16 MB, some 40,000 records.
ROUNDS = 50
# What a column of SQLite holds; an honest sequence begins at the epoch's milliseconds and counts up.
MAX_SEQUENCE = 2**63


@dataclass(frozen=True)
class Collected:
    """What came from one host. `error` says why nothing (more) did.

    link  "answered", "silent" (the host did not), "refused" (it did, and we could not go on: a key, a login, the sink)
    """

    instance: str
    metrics: int = 0
    heartbeats: int = 0
    findings: int = 0
    refused: int = 0
    others: int = 0
    error: str | None = None
    link: str = "answered"


def collect(dispatcher: Dispatcher, instance: Instance, sink: Sink, namespace: str) -> Collected:
    """Everything that the instance's agent has spooled. Never raises for what the host does."""
    counts: Counter[str] = Counter()
    error: str | None = None
    link = "answered"
    try:
        conversation = dispatcher.conversation(instance)
        for _ in range(ROUNDS):
            if _one_round(dispatcher.store, conversation, instance, sink, namespace, counts) < RECORDS_AT_ONCE:
                break
    except CooklineError as caught:
        error, link = caught.message, link_of(caught)
    kinds = ("metrics", "heartbeats", "findings", "refused", "others")
    return Collected(instance.name, **{kind: counts[kind] for kind in kinds}, error=error, link=link)


def link_of(error: CooklineError) -> str:
    """What an error says of the way to a host (Collected.link)."""
    there = (HostKeyError, AuthenticationError, BecomeError, PythonMissing)
    return "silent" if isinstance(error, Unreachable) and not isinstance(error, there) else "refused"


def _one_round(
    store: Store, conversation: Conversation, instance: Instance, sink: Sink, namespace: str, counts: Counter[str]
) -> int:
    """One answer of the host; the number of its records. They are acknowledged with the next question, when all are safe."""
    before = store.spools.acknowledged(instance.id)
    answer, records = conversation.collect(before, RECORDS_AT_ONCE)
    metrics: dict[str, list[Mapping[str, Any]]] = {}
    own = CUSTOM + store.revisions.name_of(instance.stack_id)
    with store.database.transaction():
        store.instances.seen(instance.id)
        for record in records:
            kind = _accepted(store, instance, record, _age(answer, record), own)
            counts[kind] += 1
            if kind == "metrics":
                data = {name: value for name, value in record["data"].items() if name != "Namespace"}
                metrics.setdefault(record["data"].get("Namespace") or namespace, []).append(data)
    for space, values in metrics.items():
        sink(space, values)
    # only now: a sink that fails gets the same records again. May be less than before, when the host has a new disk
    store.spools.acknowledge(instance.id, max(map(_sequence, records), default=before))
    owed = answer.get("owed")
    if isinstance(owed, list):
        store.instances.record(instance.id, owed=owed)
    return len(records)


def _accepted(store: Store, instance: Instance, record: Mapping[str, Any], age: float, namespace: str) -> str:
    """Take one record over; under which name it counts."""
    problem = _problem(instance, record, namespace)
    if problem:
        store.spools.warn(instance.id, "record", f"{instance.name}: {problem}")
        return "refused"
    kind, data = record["kind"], record["data"]
    if kind == "heartbeat":
        store.instances.heartbeat(instance.id, age)
        return "heartbeats"
    if kind == "finding":
        store.findings.report(instance.id, data)
        return "findings"
    return "metrics" if kind == "metric" else "others"


def _problem(instance: Instance, record: Mapping[str, Any], namespace: str) -> str | None:
    """Why a record is not believed."""
    if not isinstance(record.get("data"), dict) or not isinstance(record.get("kind"), str):
        return "a record without kind or data"
    if record.get("instance_id") != instance.id:
        return f"a record of instance {str(record.get('instance_id'))[:40]!r}"
    if record["kind"] == "metric" and record["data"].get("Namespace") not in (None, namespace):
        return f"a metric in the namespace {str(record['data']['Namespace'])[:60]!r}"
    if record["kind"] == "metric":
        return _foreign_dimension(instance, record["data"])
    return None


def _foreign_dimension(instance: Instance, datum: Mapping[str, Any]) -> str | None:
    dimensions = datum.get("Dimensions")
    if not isinstance(dimensions, list) or not all(isinstance(each, dict) for each in dimensions):
        return "a metric without dimensions"
    own = {"InstanceId": [instance.id], "StackId": [instance.stack_id]}
    own["LayerId"] = [f"{instance.stack_id}-{layer}" for layer in instance.layers]
    for dimension in dimensions:
        allowed = own.get(str(dimension.get("Name")))
        if allowed is not None and dimension.get("Value") not in allowed:
            return f"a metric with {dimension.get('Name')} {str(dimension.get('Value'))[:60]!r}"
    return None


def _sequence(record: Mapping[str, Any]) -> int:
    sequence = record.get("seq")
    return sequence if isinstance(sequence, int) and 0 <= sequence < MAX_SEQUENCE else 0


def _age(answer: Mapping[str, Any], record: Mapping[str, Any]) -> float:
    """How long ago the host wrote the record, by its own clock at both ends, so that the clocks need not agree."""
    now, at = answer.get("now"), record.get("at")
    if isinstance(now, int | float) and isinstance(at, int | float):
        return max(0.0, float(now) - float(at))
    return 0.0
