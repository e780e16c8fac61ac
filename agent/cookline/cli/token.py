"""cookline token: who may use the server over the network."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.render.table import table
from cookline.cli.render.text import age
from cookline.cli.session import session
from cookline.control.store.access import EVERY_STACK
from cookline.errors import UsageError

DAY = 86400.0


def token(
    action: Annotated[str, typer.Argument(help="create, list or revoke.")],
    name: Annotated[str, typer.Argument(help="The token's name: a person or a program.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="show, deploy or manage, for one stack as shop=deploy; more than one may be given."),
    ] = None,
    days: Annotated[float | None, typer.Option("--days", help="Valid for so many days; for ever without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make, list or revoke tokens of the server's network API. Only hashes are kept: a token's text is shown once.

    Whoever has the scope deploy or manage can run recipes, and so is root on each host of the stack.

    Example: cookline token create alice --scope shop=deploy --days 90
    """
    here = session()
    if action == "list":
        _list(as_json)
    elif action in ("create", "revoke") and not name:
        raise UsageError(f"token {action} needs a name", hint=f"cookline token {action} alice")
    elif action == "create":
        made, text = here.store.tokens.create(name, _scopes(scope), lifetime=days * DAY if days else None)
        if as_json:
            here.json({"name": made.name, "scopes": made.scopes, "expires": made.expires, "token": text})
        else:
            here.warn(
                f"{name} may {', '.join(f'{what} on {stack}' for stack, what in made.scopes.items())}; this is shown once:"
            )
            here.say(text)
    elif action == "revoke":
        here.store.tokens.revoke(name)
        here.say(f"{name} is revoked")
    else:
        raise UsageError(f"token does not know {action!r}", hint="create, list or revoke")


def _scopes(given: list[str] | None) -> dict[str, str]:
    scopes = {}
    for each in given or ["show"]:
        stack, separator, what = each.rpartition("=")
        scopes[stack if separator else EVERY_STACK] = what
    return scopes


def _list(as_json: bool) -> None:
    here = session()
    tokens = here.store.tokens.all()
    if as_json:
        here.json([{name: getattr(each, name) for name in each.__dataclass_fields__} for each in tokens])
        return
    now = time.time()
    rows = [
        (
            each.name,
            ", ".join(f"{stack}={what}" for stack, what in each.scopes.items()),
            f"{age(now - each.used)} ago" if each.used else "never",
            "revoked" if each.revoked else f"in {age(each.expires - now)}" if each.expires else "never",
        )
        for each in tokens
    ]
    table(here, ("token", "scopes", "used", "ends"), rows)
