"""cookline runs and show: what was done, newest first, and one run in full."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import RunId, Stack
from cookline.cli.render.progress import indented, line_of
from cookline.cli.render.table import table
from cookline.cli.render.text import printable, totals
from cookline.cli.session import session

if TYPE_CHECKING:
    from cookline.control.store.runs import CommandRecord, RunRecord


def runs(
    stack: Stack,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many commands, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """List the commands that were given to a stack and how each instance's part of them ended.

    Example: cookline runs shop --limit 5
    """
    here = session()
    commands = here.store.runs.commands(here.store.revisions.stack_id(stack), limit)
    listed = [(command, here.store.runs.of_command(command.id)) for command in commands]
    if as_json:
        here.json([{**asdict(command), "runs": [_run(run) for run in parts]} for command, parts in listed])
        return
    columns = ("id", "at", "command", "by", "instance", "event", "outcome", "changed", "seconds", "reason")
    rows = [row for command, parts in listed for row in _rows(command, parts)]
    table(here, columns, rows)


def _run(run: RunRecord) -> dict[str, Any]:
    return {**asdict(run), "changed": run.changed}


def _rows(command: CommandRecord, parts: list[RunRecord]) -> list[tuple[Any, ...]]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(command.created))
    head = (command.id, at, command.kind, command.user, "", "", command.outcome or "unfinished", "", "", "")
    return [head] + [
        (f"  {run.id}", "", "", "", run.instance, run.event, run.outcome or "going on", run.changed, run.seconds, run.reason)
        for run in parts
    ]


def show(
    run: RunId,
    everything: Annotated[bool, typer.Option("--all", help="Unchanged resources too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show one run: its resources, differences, what failed, what it owes, and its ten slowest resources.

    Example: cookline show 01JD4Z --all
    """
    here = session()
    found = here.store.runs.find(run)
    records = here.store.runs.of_command(found.id) if hasattr(found, "kind") else [found]
    reports = [(record, list(here.store.reports.events(record.id))) for record in records]
    if as_json:
        here.json([{**asdict(record), "events": events} for record, events in reports])
        return
    for record, events in reports:
        _report(record, events, everything)


def _report(record: Any, events: Sequence[Mapping[str, Any]], everything: bool) -> None:
    here = session()
    here.say(f"{record.id}  {record.event} on {record.instance}: {record.outcome or 'going on'}  {totals(record.totals)}")
    if record.reason:
        here.say(f"  {printable(record.reason)}")
    if not events and record.started is not None and record.finished is not None:
        here.say("  its report is not kept any longer: `keep_runs` of the stack says of how many runs of an instance they are")
    for event in events:
        _event(event, everything)
    for event in events:
        if event.get("kind") == "run_finished":
            _ending(event)


def _ending(event: Mapping[str, Any]) -> None:
    """What a run leaves: recipes that did not run, what it owes, where its plan was wrong, what took longest."""
    here = session()
    if event.get("unprocessed"):
        here.say(f"  unprocessed: {', '.join(map(printable, event['unprocessed']))}")
    for debt in event.get("owed") or ():
        here.say(f"  owed: {printable(debt['action'])}, because of {printable(debt['because'])}; the next run does it")
    if "plan" in event:
        here.say(f"  mismatches with its plan {printable(event['plan'])}: {event['mismatches']}")
    for each in event.get("mismatched") or ():
        fields = f" otherwise in {', '.join(map(printable, each['fields']))}" if each.get("fields") else ""
        planned = str(each["planned"]).replace("_", " ")
        here.say(f"    {printable(each['name'])}: planned {planned}, was {printable(each['was'])}{fields}")
    if event.get("slowest"):
        here.say("  slowest:")
    for each in event.get("slowest") or ():
        here.say(f"    {each['seconds'] * 1000:8.1f} ms  {printable(each['name'])}")


def _event(event: Mapping[str, Any], everything: bool) -> None:
    here = session()
    line = line_of(event) if event.get("kind") != "run_finished" else None
    if line is None and everything and event.get("kind") in ("unchanged", "skipped", "will_not"):
        line = f"= {printable(event.get('name'))}  {printable(event.get('reason') or '')}"
    if line is not None:
        here.say(f"  {line}")
        if event.get("line"):
            here.say(f"      {printable(event['line'])}")
    if event.get("diff"):
        here.say(indented(printable(event["diff"])))
