"""cookline app: the apps of a stack, their layers and sources."""

from __future__ import annotations

from cookline.cli.options import AsJson, Stack
from cookline.cli.render.table import table
from cookline.cli.session import session


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
            "source": f"{each.source.type}: {each.source.path}" if each.source else None,
            "environment": to_plain(dict(each.environment)),
            "keep_releases": each.keep_releases,
        }
        for name, each in revision.stack.apps.items()
    ]
    if as_json:
        here.json(apps)
        return
    columns = ("app", "layers", "source", "environment", "releases kept")
    rows = [
        (each["name"], ", ".join(each["layers"]), each["source"], ", ".join(each["environment"]), each["keep_releases"])
        for each in apps
    ]
    table(here, columns, rows)
