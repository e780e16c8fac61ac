"""What has come of a command: one result for each targeted instance and event, so that the totals add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cookline.control.lifecycle.command import Result
from cookline.control.store.runs import ASKED, TAKING_BACK
from cookline.errors import EXIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from cookline.control.store.rollouts import BatchRecord
    from cookline.control.store.runs import RunRecord
    from cookline.control.store.store import Store


def of_command(store: Store, command_id: str) -> tuple[tuple[Result, ...], dict[str, Any] | None]:
    """Results, and Report.rollout. A run that has not ended yet counts as skipped."""
    runs = store.runs.of_command(command_id)
    record = store.rollouts.get(command_id)
    if record is None:
        return tuple(_result(run) for run in runs), None
    batches = store.rollouts.batches(command_id)
    missed = {name: text for batch in batches for name, text in batch.gates.items() if text}
    back: dict[str, list[RunRecord]] = {}
    for run in runs:
        if run.phase == TAKING_BACK:
            back.setdefault(run.instance, []).append(run)
    results = [
        _of_rollout(_result(run), missed.get(run.instance), back.get(run.instance, ())) if run.phase == ASKED else _result(run)
        for run in runs
        if run.phase != TAKING_BACK
    ]
    told = [_batch(batch, runs) for batch in batches]
    paused = record.paused is not None and record.ended is None
    return tuple(results), {"ended": record.ended, "reason": record.reason, "paused": paused, "batches": told}


def _result(run: RunRecord) -> Result:
    return Result(
        instance=run.instance,
        event=run.event,
        outcome=run.outcome or "skipped",
        reason=run.reason if run.outcome else "it has not ended yet",
        error=run.error,
        run=run.id,
        phase=run.phase,
        totals=run.totals,
        seconds=run.seconds,
        batch=run.batch,
    )


def _of_rollout(result: Result, missed: str | None, back: Sequence[RunRecord]) -> Result:
    """An instance that missed its gate, or was taken back, has not got what was asked for, however its run ended."""
    if missed and result.outcome == "successful":
        result = replace(result, outcome="failed", reason=f"gate: {missed}")
    if not back:
        return result
    bad = next((run for run in back if run.outcome != "successful"), None)
    ending = "taken back" if bad is None else f"not taken back: {bad.reason or bad.outcome or 'it has not ended yet'}"
    outcome = "failed" if result.outcome == "successful" else result.outcome
    reason = f"{result.reason}; {ending}" if result.reason else ending
    return replace(result, outcome=outcome, reason=reason, taken_back=bad.outcome if bad else "successful")


def _batch(batch: BatchRecord, runs: Sequence[RunRecord]) -> dict[str, Any]:
    names = [run.instance for run in runs if run.phase == ASKED and run.batch == batch.number]
    seconds = round(batch.finished - batch.started, 3) if batch.finished and batch.started else None
    return {
        "number": batch.number,
        "instances": names,
        "verdict": batch.verdict,
        "reason": batch.reason,
        "seconds": seconds,
        "gates": dict(batch.gates),
    }


def exit_code_of_rollout(rollout: Mapping[str, Any] | None) -> int:
    """A rollout that stopped has failed, even where everything that it did went well."""
    return EXIT_FAILED if rollout is not None and rollout["ended"] not in (None, "completed") else EXIT_OK
