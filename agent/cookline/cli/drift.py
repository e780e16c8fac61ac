"""cookline drift: where hosts differ from what the last runs declared."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson, On, Stack
from cookline.cli.render.table import table
from cookline.cli.render.text import age, printable, short
from cookline.cli.session import session
from cookline.errors import EXIT_DIFFERS, EXIT_OK, CooklineError, Unreachable, overall_exit_code

if TYPE_CHECKING:
    from cookline.control.store.findings import Finding
    from cookline.control.store.instances import Instance

AT_ONCE = 50


def drift(
    stack: Stack,
    check: Annotated[
        bool, typer.Option("--check", help="Have every host look now, not only show what agents reported.")
    ] = False,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Show what the agents found to differ from what was declared. Exit code 3 when something does.

    Example: cookline drift shop --check
    """
    here = session()
    instances = _chosen(stack, on)
    errors = _look(instances, check)
    names = {instance.name for instance in instances}
    findings = [each for each in here.store.findings.of(here.store.revisions.stack_id(stack)) if each.instance in names]
    if as_json:
        here.json(
            {"findings": [_plain(finding) for finding in findings], "errors": {name: str(e) for name, e in errors.items()}}
        )
    else:
        _print(findings)
        for name, error in errors.items():
            here.warn(f"{name}: {error}")
    codes = [EXIT_DIFFERS if findings else EXIT_OK, *(error.exit_code for error in errors.values())]
    raise typer.Exit(overall_exit_code(codes))


def _chosen(stack: str, on: str | None) -> list[Instance]:
    from cookline.control.stack.revision import Revision
    from cookline.control.stack.selectors import select

    here = session()
    pushed = here.store.revisions.get(stack)
    instances = here.store.instances.of(pushed.stack_id)
    if on is not None:
        states = {each.name: each.state for each in instances}
        wanted = select(Revision.load(pushed.content).stack, on, states)
        instances = [each for each in instances if each.name in wanted]
    return instances


def _look(instances: list[Instance], check: bool) -> dict[str, CooklineError]:
    """Fetch what the agents have spooled; with `check` have them compare everything now."""
    here = session()
    if not instances:
        return {}
    from cookline.control.server.collector import Collector
    from cookline.control.server.sink import local_put

    dispatcher = here.dispatcher
    collector = Collector(dispatcher, dispatcher.sink or local_put(here.directory), lambda text: None)

    def one(instance: Instance) -> CooklineError | None:
        if instance.state in ("stopped", "registered", "requested"):
            return None
        try:
            if check:
                _, findings = dispatcher.conversation(instance).drift()
                here.store.findings.replace(instance.id, findings)
            else:
                collected = collector.collect_one(instance)
                if collected.error:
                    return Unreachable(collected.error)
        except CooklineError as error:
            return error
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = zip(instances, threads.map(one, instances), strict=True)
        return {instance.name: error for instance, error in found if error is not None}


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "instance": finding.instance,
        "resource": finding.resource,
        "differences": finding.differences,
        "detected_by": finding.detected_by,
        "since": finding.since,
        "recipe": finding.data.get("recipe"),
        "line": finding.data.get("line"),
        "label": finding.data.get("label"),
    }


def _print(findings: list[Finding]) -> None:
    here = session()
    if not findings:
        here.say("no host differs from what was declared, as far as the agents have looked")
        return
    rows = [
        (
            each.instance,
            each.resource,
            _words(each.differences),
            each.detected_by,
            f"{age(time.time() - each.since)} ago",
            each.data.get("line"),
        )
        for each in findings
    ]
    table(here, ("instance", "resource", "differs", "detected by", "since", "declared at"), rows)


def _words(differences: Any) -> str:
    if isinstance(differences, dict):
        differences = [{"field": name, "expected": pair[0], "found": pair[1]} for name, pair in differences.items()]
    parts = []
    for each in differences if isinstance(differences, list) else []:
        found, expected = each.get("found"), each.get("expected")
        if each.get("field") == "exists":
            return "it is not there" if expected else "it is there"
        parts.append(f"{printable(each.get('field'))} {short(found) or 'none'}, not {short(expected)}")
    return "; ".join(parts)
