"""cookline app: the apps of a stack, their layers and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AppName, AsJson, On, Stack
from cookline.cli.render.table import table
from cookline.cli.session import session

if TYPE_CHECKING:
    from cookline.control.stack.models import Source


def app(
    stack: Stack,
    action: Annotated[str | None, typer.Argument(help="start, stop or restart; the list without.")] = None,
    name: AppName = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """List the apps of a stack's newest revision, or start, stop or restart one: the service of its name, where it is deployed.

    The list has layers, source and environment (values of secrets are never shown).

    Example: cookline app shop restart --app shop
    """
    if action is not None:
        _act(stack, action, name, on, as_json)
    from cookline.control.stack.revision import Revision
    from cookline.control.stack.secrets import to_plain

    here = session()
    revision = Revision.load(here.store.revisions.get(stack).content)
    apps = [
        {
            "name": name,
            "layers": list(each.layers),
            "source": _place(each.source) if each.source else None,
            "stood": dict(revision.sources.get(name, {})),
            "environment": to_plain(dict(each.environment)),
            "keep_releases": each.keep_releases,
        }
        for name, each in revision.stack.apps.items()
    ]
    if as_json:
        here.json(apps)
        return
    columns = ("app", "layers", "source", "at", "environment", "releases kept")
    rows = [
        (
            each["name"],
            ", ".join(each["layers"]),
            each["source"],
            _short(each["stood"]),
            ", ".join(each["environment"]),
            each["keep_releases"],
        )
        for each in apps
    ]
    table(here, columns, rows)


def _act(stack: str, action: str, apps: list[str] | None, on: str | None, as_json: bool) -> None:
    from cookline.cli.dispatch import carry_out
    from cookline.control.lifecycle.requests import OF_AN_APP
    from cookline.errors import UsageError, did_you_mean

    if action not in OF_AN_APP:
        raise UsageError(f"an app cannot be told to {action!r}{did_you_mean(action, OF_AN_APP)}", hint=", ".join(OF_AN_APP))
    if not apps:
        raise UsageError(f"which app is to {action}?", hint=f"cookline app {stack} {action} --app NAME")
    where = on or ",".join(f"app:{each}" for each in apps)
    carry_out("run", stack, as_json, on=where, app=apps, recipes=(OF_AN_APP[action],))


def _place(source: Source) -> str:
    place = source.url or (f"s3://{source.bucket}/{source.key}" if source.bucket else source.path)
    return f"{source.type}: {place}"


def _short(stood: Mapping[str, Any]) -> str:
    """ "main 01234567ab"."""
    exact = str(stood.get("commit") or stood.get("archive_sha256") or "")[:10]
    return f"{stood['revision']} {exact}" if "revision" in stood else exact
