"""The last table of a command: each targeted instance once an event, its outcome and reason; the totals add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.cli.render.table import table
from cookline.cli.render.text import printable, totals

if TYPE_CHECKING:
    from cookline.cli.session import Session
    from cookline.control.lifecycle.command import Report, Result


def print_report(session: Session, report: Report) -> None:
    columns = ("instance", "event", "outcome", "resources", "seconds", "reason")
    table(session, columns, [_row(result) for result in report.results])
    counted = ", ".join(f"{count} {outcome}" for outcome, count in report.totals.items())
    seconds = f" in {report.seconds:.2f} s" if report.seconds is not None else ""
    session.say(f"{report.kind} of {report.stack}, revision {report.revision}: {counted or 'nobody was targeted'}{seconds}")
    for result in report.results:
        if result.error and result.outcome != "successful":
            session.warn(f"\n{result.instance}, {result.event}:\n{printable(result.error)}")
    failed = next((result for result in report.results if result.outcome == "failed" and result.run), None)
    if failed is not None:
        session.warn(f"\n`cookline show {failed.run}` shows all of it")


def _row(result: Result) -> tuple[object, ...]:
    seconds = f"{result.seconds:.2f}" if result.seconds is not None else ""
    reason = (result.reason or "").split("\n")[0]
    return result.instance, result.event, result.outcome, totals(result.totals) if result.totals else "", seconds, reason
