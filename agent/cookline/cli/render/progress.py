"""Shows runs while they go on: a live tree on a terminal, one line an event elsewhere, nothing with --json."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cookline.cli.render.batches import Batches, rollout_line
from cookline.cli.render.text import changes, printable, totals

if TYPE_CHECKING:
    from cookline.cli.session import Session

SHOWN = ("changed", "will_change", "cannot_know", "failed")
SYMBOLS = {"changed": "+", "will_change": "~", "cannot_know": "?", "failed": "x", "skipped": "-"}
STYLES = {"changed": "green", "will_change": "yellow", "cannot_know": "magenta", "failed": "bold red", "successful": "green"}
# What is told of a rollout as a whole.
ROLLOUT_KINDS = ("batch", "gate", "batch_ended", "paused", "resumed", "taking_back")
# Lines of one host that a live tree shows at once; the rest is in `cookline show`.
LINES_KEPT = 8


class Progress(Protocol):
    def event(self, instance: str, event: Mapping[str, Any]) -> None: ...

    def __enter__(self) -> Progress: ...

    def __exit__(self, *_: object) -> None: ...


def progress(session: Session, *, quiet: bool) -> Progress:
    if quiet:
        return Silent()
    return LiveTree(session) if session.terminal.interactive else Lines(session)


class Silent:
    def event(self, instance: str, event: Mapping[str, Any]) -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def line_of(event: Mapping[str, Any]) -> str | None:
    """One event in one line; None for those that nobody waits for."""
    kind = event.get("kind")
    if kind in SHOWN:
        detail = changes(event) or printable(event.get("reason") or "")
        text = f"{SYMBOLS[str(kind)]} {printable(event.get('name'))}" + (f"  {detail}" if detail else "")
        return text + (f"\n{indented(printable(event.get('error')))}" if event.get("error") else "")
    if kind == "action_finished":
        said = event.get("error") or (f"not done: {event['reason']}" if event.get("reason") else "")
        return f"! {printable(event.get('action'))}" + (f"  {printable(said)}" if said else "")
    if kind == "waiting":
        return f"... waits for {'the lock' if event.get('for') == 'lock' else 'dpkg'}, held by {printable(event.get('holder'))}"
    if kind == "log" and event.get("level") != "metric":
        return f"  {printable(event.get('level'))}: {printable(event.get('text'))}"
    if kind == "state":
        return f"  {printable(event.get('before'))} > {printable(event.get('state'))}"
    if kind in ROLLOUT_KINDS:
        return rollout_line(event)
    if kind == "run_finished":
        reason = f": {printable(event.get('reason'))}" if event.get("reason") else ""
        left = f"; unprocessed: {', '.join(map(printable, event['unprocessed']))}" if event.get("unprocessed") else ""
        return f"  {printable(event.get('outcome'))}, {totals(event.get('totals') or {})}{reason}{left}"
    return None


def indented(text: str, by: str = "      ") -> str:
    return "\n".join(by + line for line in text.splitlines())


class Lines:
    """ "app1  + Package[haproxy]  version 2.6"."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._event: dict[str, str] = {}

    def event(self, instance: str, event: Mapping[str, Any]) -> None:
        line = line_of(event)
        if event.get("kind") == "run_started":
            line = f"  {printable(event.get('event'))}: {', '.join(map(printable, event.get('recipes') or []))}"
        if line is not None:
            with self._lock:
                self._session.say(f"{instance or 'rollout':<10} {line}")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass
class _Host:
    """What the tree shows of one instance."""

    event: str = ""
    recipe: str = ""
    ended: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[tuple[str, str]] = field(default_factory=list)


class LiveTree:
    """A tree with one branch a host; changed and failed resources are leaves."""

    def __init__(self, session: Session) -> None:
        from rich.live import Live

        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._rollout = Batches()
        self._live = Live(
            console=session.console, get_renderable=self._tree, refresh_per_second=10, vertical_overflow="ellipsis"
        )

    def event(self, instance: str, event: Mapping[str, Any]) -> None:
        kind = str(event.get("kind"))
        with self._lock:
            if kind in ROLLOUT_KINDS:
                self._rollout.event(instance, event)
            if not instance:
                return
            host = self._hosts.setdefault(instance, _Host())
            if kind == "run_started":
                self._hosts[instance] = host = _Host(event=printable(event.get("event")), lines=host.lines)
            elif kind == "recipe_started":
                host.recipe = printable(event.get("recipe"))
            elif kind == "run_finished":
                host.ended = printable(event.get("outcome"))
            elif kind in ("unchanged", "skipped", "will_not", *SHOWN):
                host.counts[kind] += 1
            line = line_of(event)
            if line is not None and kind != "run_finished":
                host.lines = [*host.lines, (kind, line)][-LINES_KEPT:]

    def _tree(self) -> Any:
        from rich.text import Text
        from rich.tree import Tree

        root = Tree("", hide_root=True, guide_style="dim")
        with self._lock:
            if head := self._rollout.line():
                root.add(Text(head, style="bold"))
            for name, host in sorted(self._hosts.items()):
                state = host.ended or host.recipe
                title = Text.assemble((name, "bold"), f"  {host.event} ", (state, STYLES.get(host.ended, "dim")))
                title.append(f"  {totals(host.counts)}" if host.counts else "")
                branch = root.add(title)
                for kind, line in host.lines:
                    branch.add(Text(line, style=STYLES.get(kind, "dim")))
        return root

    def __enter__(self) -> LiveTree:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
