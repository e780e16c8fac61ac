"""cookline app: the apps of a stack, their layers and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cookline.cli.options import AsJson, Stack
from cookline.cli.render.table import table
from cookline.cli.session import session

if TYPE_CHECKING:
    from cookline.control.stack.models import Source


def app(stack: Stack, as_json: AsJson = False) -> None:
    """List the apps of a stack's newest revision: layers, source, environment (values of secrets are never shown).

    Example: cookline app shop
    """
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


def _place(source: Source) -> str:
    place = source.url or (f"s3://{source.bucket}/{source.key}" if source.bucket else source.path)
    return f"{source.type}: {place}"


def _short(stood: Mapping[str, Any]) -> str:
    """ "main 01234567ab"."""
    exact = str(stood.get("commit") or stood.get("archive_sha256") or "")[:10]
    return f"{stood['revision']} {exact}" if "revision" in stood else exact
