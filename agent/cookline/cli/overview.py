"""The list of commands in `cookline --help`: in the sections of the table of commands, each with its whole first sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

# Longer than any first sentence: what is too wide for the terminal is wrapped, not cut.
WHOLE_SENTENCE = 300


class Overview(TyperGroup):
    """A group of commands whose help has sections (`rich_help_panel` of its commands), in the order of their first commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            panel = getattr(command, "rich_help_panel", None)
            section = panel if isinstance(panel, str) else "Commands"
            sections.setdefault(section, []).append((name, command.get_short_help_str(WHOLE_SENTENCE)))
        width = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])
