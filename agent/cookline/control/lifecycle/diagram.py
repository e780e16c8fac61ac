"""docs/states.md, out of the table of states: `cookline docs states` prints it, a test compares it with what lies there."""

from __future__ import annotations

from cookline.control.lifecycle.plan import RULES
from cookline.control.lifecycle.states import MOVING, TRANSITIONS

HEAD = """# The states of an instance

OpsWorks' twenty words, and every way from one to another that cookline knows. Whatever is not drawn is refused with the
reason. Dashed boxes are states that end by themselves: a command is at work on the instance. The table is in
`agent/cookline/control/lifecycle/states.py`; `cookline docs states` prints this page.
"""

COMMANDS = """
## Which command goes which way

| command | runs | from | over | to | when it fails |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page, with a diagram that GitHub and many editors draw (mermaid)."""
    return f"{HEAD}\n```mermaid\n{mermaid()}```\n{COMMANDS}{_commands()}"


def mermaid() -> str:
    """
    >>> mermaid().splitlines()[0]
    'stateDiagram-v2'
    """
    ways = [f"    {state} --> {following}" for state, targets in TRANSITIONS.items() for following in targets]
    ends = [f"    {state} --> [*]" for state, targets in TRANSITIONS.items() if not targets]
    moving = ",".join(state for state in TRANSITIONS if state in MOVING)
    lines = ["stateDiagram-v2", "    [*] --> stopped", "    [*] --> registering", *ways, *ends]
    return "\n".join([*lines, "    classDef moving stroke-dasharray: 4 3", f"    class {moving} moving", ""])


def _commands() -> str:
    rows = []
    for kind, rule in RULES.items():
        cells = (kind, rule.event or "nothing", ", ".join(sorted(rule.accepts)), rule.during, rule.success, rule.failure)
        rows.append("| " + " | ".join(cell or "stays" for cell in cells) + " |\n")
    return "".join(rows)
