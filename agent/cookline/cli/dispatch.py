"""Has a command dispatched, shows it while it goes on, and ends with how each instance's part ended."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from cookline.cli.options import attributes_of
from cookline.cli.render.outcome import print_report
from cookline.cli.render.plan import planned, print_plan
from cookline.cli.render.progress import ROLLOUT_KINDS, progress
from cookline.cli.rollout import rollout_of
from cookline.cli.session import Session, session
from cookline.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from cookline.control.lifecycle.command import Report


def carry_out(kind: str, stack: str, as_json: bool, **options: Any) -> None:
    """Dispatch one command and leave with its exit code.

    Options are the fields of lifecycle.command.Command, in the spelling of the command line: `attribute` is a list of
    assignments, `app` a list of names, `wait` the lock's patience.
    """
    from cookline.control.lifecycle.command import Command

    renamed = {"attribute": "attributes", "app": "apps", "wait": "lock_wait"}
    values = {renamed.get(name, name): value for name, value in options.items()}
    values["attributes"] = attributes_of(values.get("attributes"))
    values["apps"] = tuple(values.get("apps") or ())
    values["rollout"] = rollout_of(values)
    values.setdefault("verbose", session().debug)
    command = Command(kind=kind, stack=stack, initiated_by=session().asked_by, **values)
    show_until_done(lambda here: here.dispatcher.begin(command), as_json, plan=kind == "plan")


def show_until_done(begin: Callable[[Session], str], as_json: bool, *, plan: bool = False) -> None:
    """Begin something, follow it on the terminal, print its report, exit with its code. A plan is shown when it is made.

    Ctrl-C once: nothing more begins, what runs is waited for. Twice: this process leaves, the runs go on on their hosts.
    """
    here = session()
    report = _followed(here, begin, as_json, silent=as_json or (plan and not here.terminal.interactive))
    if as_json:
        here.json(planned(here, report) if plan else report.to_dict())
    else:
        if plan:
            print_plan(here, report)
        print_report(here, report)
    raise typer.Exit(report.exit_code)


def _followed(here: Session, begin: Callable[[Session], str], as_json: bool, *, silent: bool) -> Report:
    dispatcher = here.dispatcher
    mine: set[str] = set()
    began = threading.Event()

    def cancel() -> None:
        if began.is_set():
            for command in mine:
                dispatcher.cancel(command)

    here.on_interrupt = cancel
    with progress(here, quiet=silent) as shown:

        def show(instance: str, event: dict[str, Any]) -> None:
            if event["kind"] == "planned":
                mine.add(event["command"])
                here.terminal.began(event["command"])
                began.set()
            if event["kind"] == "resuming" and not as_json:
                here.warn(f"an earlier command did not end: {event['kind_of']} {event['command']}; it is finished first")
            if (instance or event["kind"] in ROLLOUT_KINDS) and event.get("command") in (None, *mine):
                shown.event(instance, event)

        unsubscribe = dispatcher.progress.subscribe(show)
        try:
            return _patiently(here, lambda: dispatcher.wait(begin(here)))
        finally:
            unsubscribe()
            here.on_interrupt = None


def _patiently(here: Session, work: Callable[[], Report]) -> Report:
    """Run `work` in a thread, so that Ctrl-C reaches this one."""
    outcome: Future[Report] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="command", daemon=True).start()
    with suppress(KeyboardInterrupt):
        return outcome.result()
    try:
        here.interrupt()
        here.warn("stopping: nothing more begins, what runs is waited for; Ctrl-C again detaches")
        return outcome.result()
    except KeyboardInterrupt:
        _detach(here)


def _detach(here: Session) -> NoReturn:
    """Leave at once: the engine's threads wait for the hosts, and whoever resumes finds everything in the store."""
    here.warn("detached: the runs go on on their hosts; `cookline resume` takes them up again")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)
