"""cookline audit: who did what on the server, when, and from where."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.render.table import table
from cookline.cli.session import session


def audit(
    stack: Annotated[str | None, typer.Argument(help="Only what was asked of this stack.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many entries, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the server's audit log: every command that came through it, also those that were refused.

    Example: cookline audit shop --limit 20
    """
    here = session()
    entries = here.store.audit.newest(limit, stack)
    if as_json:
        here.json([asdict(entry) for entry in entries])
        return
    rows = [
        (
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at)),
            entry.who,
            entry.origin,
            entry.what,
            "refused" if not entry.allowed else "" if entry.exit_code is None else f"exit {entry.exit_code}",
        )
        for entry in entries
    ]
    table(here, ("at", "who", "from", "what", "ended"), rows)
