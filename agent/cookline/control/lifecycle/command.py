"""What an operator asks for, and what came of it, as plain data: the same in process, over the socket and in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cookline.control.lifecycle.plan import totals
from cookline.errors import (
    EXIT_DIFFERS,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_LOCKED,
    EXIT_OK,
    EXIT_UNREACHABLE,
    UsageError,
    overall_exit_code,
)

EXIT_CODES = {
    "successful": EXIT_OK,
    "skipped": EXIT_OK,
    "superseded": EXIT_OK,
    "failed": EXIT_FAILED,
    "expired": EXIT_LOCKED,
    "unreachable": EXIT_UNREACHABLE,
}


@dataclass(frozen=True)
class Command:
    """One lifecycle command or deployment.

    kind        one of plan.RULES, or "plan"
    on          selector text ("app1,layer:db,state:online"); None is the whole stack
    apps        for deploy, undeploy, rollback: names; empty means all apps of the stack
    recipes     for run: "cookbook::recipe", ..
    events      for plan: which events are planned, one after the other
    attributes  for this command alone, over everything else
    revision    None is the newest
    initiated_by  who gave the command, where it was not the operator of this process: NAME@ADDRESS of a token; auto-healing,
                  auto-scaling, keepalive, corrective, amendment
    power_off   stop and shutdown: False leaves the host running (its state is `stopped` all the same)
    lock_wait   seconds to wait for the lock of a host
    undo        for undo: the id of the run whose changes are put back
    timeout     seconds until a host stops starting resources; None: unlimited (shutdown: the layers' timeout)
    rollout     the fields of rollout.Rollout: go in batches; None: everywhere at once
    """

    kind: str
    stack: str
    on: str | None = None
    apps: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    initiated_by: str = ""
    revision: int | None = None
    power_off: bool = True
    lock_wait: float = 0.0
    timeout: float | None = None
    take_over: bool = False
    undo: str | None = None
    verbose: bool = False
    rollout: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Command:
        """Raises UsageError for keys that no command has."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown or not {"kind", "stack"} <= set(data):
            raise UsageError(f"a command has the keys {', '.join(sorted(known))}; unknown: {', '.join(unknown) or 'none'}")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class Result:
    """How one instance's part ended; `run` is None for an instance that was skipped before it got one.

    `taken_back` is how the run ended that took it back, for a rollout that stopped; such a part counts as failed.
    """

    instance: str
    event: str
    outcome: str
    reason: str | None = None
    error: str | None = None
    run: str | None = None
    phase: int = 0
    totals: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    batch: int | None = None
    taken_back: str | None = None

    @property
    def changed(self) -> int:
        return int(self.totals.get("changed", 0))


@dataclass(frozen=True)
class Report:
    """A whole command; `totals` counts outcomes and adds up to the number of results.

    `rollout`, for one in batches: {"ended", "reason", "batches": [{"number", "instances", "verdict", "reason", "seconds"}]}.
    """

    command: str
    kind: str
    stack: str
    revision: int
    results: tuple[Result, ...]
    exit_code: int
    seconds: float | None = None
    cancelled: bool = False
    rollout: Mapping[str, Any] | None = None

    @property
    def totals(self) -> Mapping[str, int]:
        return totals(result.outcome for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "totals": dict(self.totals)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        values = {each.name: data[each.name] for each in fields(cls)}
        return cls(**{**values, "results": tuple(Result(**result) for result in data["results"])})


def exit_code_of(results: Iterable[Result], *, cancelled: bool = False, plan: bool = False) -> int:
    """The exit code of a command: 3 for a plan that would change something, 130 when it was cut short."""
    codes = []
    for result in results:
        differs = plan and any(result.totals.get(verdict) for verdict in ("will_change", "cannot_know"))
        codes.append(EXIT_DIFFERS if differs and result.outcome == "successful" else EXIT_CODES[result.outcome])
    return EXIT_INTERRUPTED if cancelled else overall_exit_code(codes)
