"""cookline check: every recipe of every layer on a fake host, before anything runs anywhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.render.progress import indented
from cookline.cli.session import session
from cookline.errors import EXIT_OK, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from cookline.kitchen.check import CheckReport


def check(
    stacks: Annotated[list[Path] | None, typer.Argument(help="Stack definitions; stacks/*.yml without.")] = None,
    platform: Annotated[
        list[str] | None, typer.Option("--platform", help="debian-11, debian-12, debian-13; all without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the recipes of each layer on a fake host: mistyped fields, attributes and templates show up with your own lines.

    Needs no host and no root. Example: cookline check stacks/shop.yml
    """
    from cookline.control.stack.kitchens import PLATFORMS
    from cookline.kitchen.check import check_stack

    here = session()
    paths = stacks or sorted((here.cwd / "stacks").glob("*.yml"))
    if not paths:
        raise UsageError("there is no stacks/*.yml here", hint="cookline check PATH")
    begun = time.monotonic()
    reports = [check_stack(path, platform or PLATFORMS) for path in paths]
    if as_json:
        here.json([_plain(report) for report in reports])
    else:
        for report in reports:
            _show(report)
        here.say(f"{time.monotonic() - begun:.2f} s")
    raise typer.Exit(EXIT_USAGE if any(report.found for report in reports) else EXIT_OK)


def _show(report: CheckReport) -> None:
    here = session()
    for found in report.found.values():
        more = f" (and {len(found.places) - 1} more)" if len(found.places) > 1 else ""
        here.say(f"{found.places[0]}{more}:\n{indented(found.error, '  ')}\n")
    layers: dict[str, list[str]] = {}
    for (layer, event), count in report.ran.items():
        if event == "run":
            continue
        if count:
            layers.setdefault(layer, []).append(f"{event} {count}")
    for layer, counts in layers.items():
        here.say(f"{report.stack}: {layer}: resources of {', '.join(counts)}")
    for (recipe, event), number in report.ran.items():
        if event == "run" and number:
            here.say(f"{report.stack}: {recipe}, which no layer runs: resources {number}")
    count = len(report.found)
    here.say(f"{report.stack}: {count or 'no'} problem{'' if count == 1 else 's'} found")


def _plain(report: CheckReport) -> dict[str, object]:
    ran = [{"layer": layer, "event": event, "resources": count} for (layer, event), count in report.ran.items()]
    found = [{"error": each.error, "places": each.places} for each in report.found.values()]
    return {"stack": report.stack, "ran": ran, "found": found}
