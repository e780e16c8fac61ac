"""cookline attach, resume and cancel: commands that go on, or that nobody has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from cookline.cli.dispatch import show_until_done
from cookline.cli.options import AsJson, RunId
from cookline.cli.render.outcome import print_report
from cookline.cli.render.progress import ROLLOUT_KINDS, progress
from cookline.cli.session import Session, session
from cookline.errors import UsageError


def attach(
    run: RunId,
    as_json: AsJson = False,
) -> None:
    """Follow a run on its host to its end. It is the same run, never a second one.

    Example: cookline attach 01JD4Z
    """
    here = session()
    found = here.store.runs.find(run)
    if hasattr(found, "kind"):
        show_until_done(lambda here: found.id, as_json)
    instance = here.store.instances.get(found.instance_id)  # type: ignore[union-attr]
    with progress(here, quiet=as_json) as shown:
        end = here.dispatcher.conversation(instance).attach(found.id, lambda event: shown.event(instance.name, event))
    if as_json:
        here.json(end)
    raise typer.Exit(0 if end.get("outcome") == "successful" else 1)


def resume(
    command: Annotated[str | None, typer.Argument(help="Id of an unfinished command; all of them without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused rollout go on, or take up what a controller that died has left, and see it to its end.

    No attempt is made twice on a host.

    Example: cookline resume
    """
    here = session()
    if command is not None and _unpaused(here, command):
        return
    left = [record.id for record in here.dispatcher.unfinished()]
    if command is not None and not any(each.startswith(command.upper()) for each in left):
        raise UsageError(f"no unfinished command has an id that starts with {command!r}", hint="`cookline status` lists them")
    if not left:
        here.json([]) if as_json else here.say("nothing is unfinished")
        return
    with progress(here, quiet=as_json) as shown:
        unsubscribe = here.dispatcher.progress.subscribe(
            lambda instance, event: shown.event(instance, event) if instance or event["kind"] in ROLLOUT_KINDS else None
        )
        reports = here.dispatcher.resume()
        unsubscribe()
    if as_json:
        here.json([report.to_dict() for report in reports])
    else:
        for report in reports:
            print_report(here, report)
    raise typer.Exit(max(report.exit_code for report in reports))


def _unpaused(here: Session, identifier: str) -> bool:
    """Whether that was all: a controller that is at work takes its paused rollout on."""
    from cookline.control.lifecycle.lock import holder

    found = here.store.runs.find(identifier)
    record = here.store.rollouts.get(getattr(found, "command_id", found.id))
    if record is None or record.paused is None or record.ended is not None:
        return False
    here.dispatcher.unpause(identifier)
    held = holder(here.store.directory)
    if held is not None:
        here.say(f"{identifier} goes on in the controller that began it (pid {held.get('pid')})")
    return held is not None


def cancel(
    run: RunId,
) -> None:
    """Begin nothing more of a command; for a run: ask its host to stop before the next resource.

    Example: cookline cancel 01JD4Z
    """
    here = session()
    here.dispatcher.cancel(run)
    here.say(f"{run} was asked to stop; `cookline show {run}` tells how it ends")
