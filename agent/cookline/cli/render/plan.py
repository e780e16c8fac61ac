"""What a plan would change, as a tree: instance and event, recipe, resource with its line, its difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cookline.cli.render.progress import indented, line_of
from cookline.cli.render.text import printable

if TYPE_CHECKING:
    from cookline.cli.session import Session
    from cookline.control.lifecycle.command import Report

Event = Mapping[str, Any]
TOLD = ("will_change", "cannot_know", "failed", "log")


def print_plan(session: Session, report: Report) -> None:
    for result in report.results:
        if result.run is None:
            continue
        session.say(f"{result.instance}, {result.event}")
        recipe = None
        for event in _told(session, result.run):
            if event.get("recipe") != recipe:
                recipe = event.get("recipe")
                session.say(f"  {printable(recipe)}")
            session.say(indented(line_of(event) or "", "    "))
            if event.get("line"):
                session.say(f"      {printable(event['line'])}")
            if event.get("diff"):
                session.say(indented(printable(event["diff"]), "        "))


def planned(session: Session, report: Report) -> dict[str, Any]:
    """The report with the verdict on each resource, for programs."""
    kept = ("name", "kind", "recipe", "line", "changes", "diff", "reason", "error")
    results = report.to_dict()
    for result, plain in zip(report.results, results["results"], strict=True):
        events: Sequence[Event] = list(session.store.reports.events(result.run)) if result.run else []
        named = [event for event in events if "seconds" in event and "name" in event]
        plain["resources"] = [{name: event[name] for name in kept if event.get(name) is not None} for event in named]
    return results


def _told(session: Session, run: str) -> list[Event]:
    events = session.store.reports.events(run)
    return [event for event in events if event.get("kind") in TOLD and event.get("level") != "metric"]
