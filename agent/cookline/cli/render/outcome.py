"""The last table of a command: each targeted instance once an event, its outcome and reason; the totals add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cookline.cli.render.table import table
from cookline.cli.render.text import printable, totals

if TYPE_CHECKING:
    from cookline.cli.session import Session
    from cookline.control.lifecycle.command import Report, Result


def print_report(session: Session, report: Report) -> None:
    columns = ("instance", "event", "outcome", "resources", "seconds", "reason")
    if report.rollout is None:
        table(session, columns, [_row(result) for result in report.results])
    else:
        rows = [("" if result.batch is None else result.batch + 1, *_row(result)) for result in report.results]
        table(session, ("batch", *columns), rows)
    counted = ", ".join(f"{count} {outcome}" for outcome, count in report.totals.items())
    seconds = f" in {report.seconds:.2f} s" if report.seconds is not None else ""
    session.say(f"{report.kind} of {report.stack}, revision {report.revision}: {counted or 'nobody was targeted'}{seconds}")
    if report.rollout is not None:
        session.say(_rollout(report.rollout))
    for result in report.results:
        if result.error and result.outcome != "successful":
            session.warn(f"\n{result.instance}, {result.event}:\n{printable(result.error)}")
    failed = next((result for result in report.results if result.outcome == "failed" and result.run), None)
    if failed is not None:
        session.warn(f"\n`cookline show {failed.run}` shows all of it")


def _rollout(rollout: Mapping[str, Any]) -> str:
    """ "rollout taken back after 2 of 4 batches: 1 of 8 failed, tolerated are 0"."""
    judged = sum(batch["verdict"] is not None for batch in rollout["batches"])
    ended = rollout["ended"] or ("paused" if rollout["paused"] else "going on")
    reason = f": {printable(rollout['reason'])}" if rollout["reason"] else ""
    return f"rollout {ended} after {judged} of {len(rollout['batches'])} batches{reason}"


def _row(result: Result) -> tuple[object, ...]:
    seconds = f"{result.seconds:.2f}" if result.seconds is not None else ""
    reason = (result.reason or "").split("\n")[0]
    return result.instance, result.event, result.outcome, totals(result.totals) if result.totals else "", seconds, reason
