"""What `cookline watch` shows: the difference of each changed file, in colours on a terminal, and what stands in the way."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cookline.cli.render.progress import STYLES, indented, line_of
from cookline.cli.render.text import printable

if TYPE_CHECKING:
    from cookline.cli.session import Session

DIFF_LINES_SHOWN = 60


class LoopView:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()

    def event(self, instance: str, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._show(instance, event)

    def _show(self, instance: str, event: Mapping[str, Any]) -> None:
        kind = str(event.get("kind"))
        if kind == "saved":
            self._say("")
        elif kind in ("broken", "failed_run", "standing"):
            title = "still: " if kind == "standing" else ""
            self._say(f"x {title}{instance}".rstrip(), "bold red")
            self._say(indented(printable(event.get("error")), "  "), "red")
        elif kind == "verified":
            self._verified(event)
        elif kind == "changed":
            self._say(f"{instance}  {line_of(event)}  {event['after']:.2f} s after the save", STYLES["changed"])
            self._diff(str(event.get("diff") or ""))
        elif kind == "action_finished":
            self._say(f"{instance}  {line_of(event)}")
        elif kind == "quiet":
            self._say(f"{instance}  nothing to change  {event['after']:.2f} s after the save", "dim")

    def _verified(self, event: Mapping[str, Any]) -> None:
        if event["passed"]:
            self._say(f"{event['tests']} tests passed in {event['seconds']:.1f} s", "green")
            return
        self._say(f"tests failed ({event['seconds']:.1f} s)", "bold red")
        self._say(indented(printable(event["output"]).strip(), "  "))

    def _diff(self, text: str) -> None:
        for line in text.splitlines()[:DIFF_LINES_SHOWN]:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            self._say(f"    {printable(line)}", style)

    def _say(self, text: str, style: str = "") -> None:
        if self._session.terminal.interactive:
            self._session.console.print(text, style=style or None, soft_wrap=True)
        else:
            self._session.say(text)
