"""Tables: drawn on a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cookline.cli.render.text import printable

if TYPE_CHECKING:
    from cookline.cli.session import Session

STYLES = {
    "online": "green",
    "successful": "green",
    "failed": "red",
    "setup_failed": "red",
    "start_failed": "red",
    "connection_lost": "red",
    "unreachable": "red",
    "expired": "yellow",
    "superseded": "dim",
    "skipped": "dim",
    "stopped": "dim",
}


def table(session: Session, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows of text; words of STYLES are coloured on a terminal."""
    cells = [[printable("" if cell is None else cell) for cell in row] for row in rows]
    if session.terminal.interactive:
        _drawn(session, columns, cells)
        return
    widths = [max(len(row[index]) for row in [list(columns), *cells]) for index in range(len(columns))]
    for row in [list(columns), *cells]:
        session.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn(session: Session, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column)
    for row in cells:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    session.console.print(drawn)
