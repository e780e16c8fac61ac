"""cookline explain: where an attribute's value comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.render.table import table
from cookline.cli.session import session
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.stack.attributes import Candidate
    from cookline.control.stack.definition import Definition


def explain(
    path: Annotated[str, typer.Argument(help="Attribute, as haproxy.port; a cookbook or app alone shows all of it.")],
    instance: Annotated[str, typer.Option("--instance", "-i", help="The instance whose value is meant.")],
    stack: Annotated[str, typer.Option("--stack", help="A stack file, or the name of a pushed stack.")] = "",
    app: Annotated[str, typer.Option("--app", help="As in a deployment of this app.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show which level decides an attribute and which levels it overrules, each with file and line.

    Without --stack the only stack file of the project is read, or else the only pushed stack.

    Example: cookline explain haproxy.port --instance lb1
    """
    from cookline.control.stack.attributes import explain as explained
    from cookline.control.stack.run_list import check_app

    here = session()
    definition = _definition(stack)
    if app:
        check_app(definition.stack, app)
    explanation = explained(definition, path, instance, app=app or None)
    if as_json:
        here.json(asdict(explanation))
        return
    here.say(f"{path} on {instance} is {_text(explanation.value)}")
    rows = [_row(explanation.winner, "wins"), *(_row(loser, "") for loser in explanation.losers)]
    table(here, ("level", "name", "value", "where", ""), rows)


def _row(candidate: Candidate, verdict: str) -> tuple[Any, ...]:
    return candidate.level, candidate.name, _text(candidate.value), candidate.position, verdict


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _definition(wanted: str) -> Definition:
    """The stack file or pushed stack that is meant. Raises UsageError when none or several could be."""
    from cookline.control.stack.loading import load_stack

    here = session()
    if wanted.endswith((".yml", ".yaml")) or "/" in wanted:
        return load_stack(here.cwd / wanted)
    if wanted:
        return _pushed(wanted)
    files = [*sorted(here.cwd.glob("stacks/*.yml")), *(each for each in sorted(here.cwd.glob("*.yml")) if is_stack(each))]
    if len(files) == 1:
        return load_stack(files[0])
    names = [str(file.relative_to(here.cwd)) for file in files]
    pushed = here.store.revisions.stacks() if not files else []
    if len(pushed) == 1:
        return _pushed(pushed[0])
    known = ", ".join(names or pushed)
    raise UsageError(
        "which stack is meant?" if known else "there is no stack file here, and none was pushed",
        hint=f"--stack takes one of {known}" if known else "--stack FILE names one; `cookline init` writes one",
    )


def is_stack(file: Path) -> bool:
    """Whether a YAML file is meant to be a stack definition."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith("stack:") or "\nstack:" in text


def _pushed(name: str) -> Definition:
    from cookline.control.stack.revision import Revision

    return Revision.load(session().store.revisions.get(name).content)
