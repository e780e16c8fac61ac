"""What a kitchen command shows: each phase and changed resource as it happens, then one line for each host."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cookline.cli.render.progress import indented, line_of
from cookline.cli.render.text import printable
from cookline.errors import EXIT_OK

if TYPE_CHECKING:
    from cookline.cli.session import Session
    from cookline.kitchen.result import Result


class KitchenProgress:
    """One line an event, each with the name of its host."""

    def __init__(self, session: Session, *, quiet: bool) -> None:
        self._session, self._quiet = session, quiet
        self._lock = threading.Lock()

    def __enter__(self) -> KitchenProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def event(self, host: str, event: Mapping[str, Any]) -> None:
        line = None if self._quiet else _line(event)
        if line is not None:
            with self._lock:
                self._session.say(f"{host}: {line}" if host else line)


def _line(event: Mapping[str, Any]) -> str | None:
    # what a plan says is looked at when the run does otherwise
    if str(event.get("step", "")).startswith("plan ") and event.get("kind") not in ("failed", "run_finished"):
        return None
    return _whole_line(event)


def _whole_line(event: Mapping[str, Any]) -> str | None:
    kind = event.get("kind")
    if kind == "said":
        return printable(event.get("text"))
    if kind == "phase":
        # the ways to a made host and to its tests take no time
        return None if event.get("phase") in ("create", "setup") else str(event.get("phase"))
    if kind == "verified":
        number = int(event.get("tests") or 0)
        return f"{number} test{'' if number == 1 else 's'} {'passed' if event.get('passed') else 'run, not all of them passed'}"
    if kind == "run_finished":
        seconds = float(event.get("seconds") or 0.0)
        return f"{event.get('step')}: {(line_of(event) or '').strip()}  ({seconds:.2f} s)"
    return line_of(event)


def logged_line(event: Mapping[str, Any], begun: float) -> str | None:
    """An event of a log with the seconds since the log began; differences and the words of the tests are shown too."""
    if event.get("kind") == "phase_failed":
        text: str | None = f"failed: {printable(event.get('error'))}"
    else:
        text = _whole_line(event)
    if text is None:
        return None
    more = printable(event.get("diff") or event.get("output") or "").strip("\n")
    return f"{float(event['time']) - begun:7.2f}  {text}" + (f"\n{indented(more, ' ' * 13)}" if more else "")


def print_results(session: Session, results: Sequence[Result]) -> None:
    """Failures in full, then a line for each host, then the totals."""
    for result in results:
        if result.error:
            session.say(f"\n{result.name} failed:\n{indented(printable(result.error), '  ')}")
    session.say("")
    width = max((len(result.name) for result in results), default=0)
    for result in results:
        session.say(f"{result.name.ljust(width)}  {_ending(result)}")
    failed = sum(result.error is not None for result in results)
    skipped = sum(result.skipped is not None for result in results)
    if len(results) > 1:
        counts = [f"{len(results) - failed - skipped} good", f"{failed} failed"] + ([f"{skipped} skipped"] if skipped else [])
        session.say(f"{len(results)} hosts: {', '.join(counts)}")


def _ending(result: Result) -> str:
    if result.skipped:
        return f"skipped: {result.skipped}"
    staying = f" (it stays {result.state})" if result.state != "absent" else ""
    word = result.state if result.exit_code == EXIT_OK else f"failed{staying}"
    passed = sum(check.failure is None for check in result.checks)
    return f"{word}  {passed} of {len(result.checks)} checks  {result.seconds:.1f} s"
