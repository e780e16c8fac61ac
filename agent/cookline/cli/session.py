"""What a command works with: a terminal to write on, the project's directory, and (made on first use) store and dispatcher."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.cli.thin import write

if TYPE_CHECKING:
    from rich.console import Console

    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.store.store import Store


@dataclass(frozen=True)
class Terminal:
    """Where output goes; `interactive` is True for a person's terminal (colour, live trees, questions).

    `began` hears the id of each command that was dispatched, for a thin client that may want to cancel it.
    """

    out: Callable[[str], Any]
    error: Callable[[str], Any]
    width: int
    interactive: bool
    began: Callable[[str], Any] = lambda command: None

    @classmethod
    def of_this_process(cls) -> Terminal:
        interactive = sys.stdout.isatty()
        width = os.get_terminal_size().columns if interactive else 120
        return cls(partial(write, sys.stdout), partial(write, sys.stderr), width, interactive)


class _Writer:
    """A file as rich wants one, over a function."""

    encoding = "utf-8"

    def __init__(self, put: Callable[[str], Any], interactive: bool) -> None:
        self._put, self._interactive = put, interactive

    def write(self, text: str) -> int:
        self._put(text)
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return self._interactive


class Session:
    """One command's surroundings. A server gives its own store and dispatcher; they are closed with the server.

    `asked_by` is whoever gave the command, "" for the operator of this process.
    """

    def __init__(
        self,
        terminal: Terminal,
        *,
        cwd: Path | None = None,
        store: Store | None = None,
        dispatcher: Dispatcher | None = None,
        asked_by: str = "",
    ) -> None:
        self.terminal, self.asked_by = terminal, asked_by
        self.cwd = cwd or Path.cwd()
        self.directory = Path(os.environ.get("COOKLINE_DIRECTORY") or self.cwd / ".cookline")
        self._store, self._dispatcher = store, dispatcher
        self._owned: list[Any] = []
        # --debug: errors come with every frame
        self.debug = False
        # this process ends with the command: nothing is taken down in order, which would cost up to a second
        self.leaving = False
        self.on_interrupt: Callable[[], None] | None = None

    @cached_property
    def console(self) -> Console:
        return self._console(self.terminal.out)

    @cached_property
    def errors(self) -> Console:
        return self._console(self.terminal.error)

    def _console(self, put: Callable[[str], Any]) -> Console:
        from rich.console import Console

        interactive = self.terminal.interactive
        return Console(
            file=_Writer(put, interactive),  # type: ignore[arg-type]
            width=self.terminal.width,
            force_terminal=interactive,
            no_color=not interactive,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def json(self, value: Any) -> None:
        """The one JSON document of a command with --json."""
        self.terminal.out(json.dumps(value, indent=2, default=str) + "\n")

    def say(self, text: str) -> None:
        self.terminal.out(text + "\n")

    def warn(self, text: str) -> None:
        self.terminal.error(text + "\n")

    @property
    def store(self) -> Store:
        if self._store is None:
            from cookline.control.store.store import Store

            self._store = Store(self.directory)
            self._owned.append(self._store)
        return self._store

    @property
    def dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            from cookline.control.lifecycle.dispatch import Dispatcher

            self._dispatcher = Dispatcher(self.store)
            self._owned.append(self._dispatcher)
        return self._dispatcher

    def own(self, closable: Any) -> None:
        """Close it with the session."""
        self._owned.append(closable)

    def interrupt(self) -> None:
        """Ctrl-C: once stops dispatching what has not begun; what runs is waited for."""
        if self.on_interrupt is not None:
            self.on_interrupt()

    def close(self) -> None:
        if not self.leaving:
            for owned in reversed(self._owned):
                owned.close()


_current: ContextVar[Session] = ContextVar("session")


def session() -> Session:
    return _current.get()


def enter(value: Session) -> None:
    _current.set(value)
