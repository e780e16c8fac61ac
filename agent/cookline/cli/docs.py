"""cookline docs: the reference, out of the code that it describes."""

from __future__ import annotations

from typing import Annotated

import typer

from cookline.cli.session import session
from cookline.errors import UsageError, did_you_mean


def docs(
    what: Annotated[str, typer.Argument(help="resources, or states")] = "resources",
    kind: Annotated[str, typer.Argument(help="One kind, such as File; all without.")] = "",
) -> None:
    """Print the reference of resources and actions: what each does, its fields, types, defaults and an example.

    `states` is the diagram of an instance's states.

    Example: cookline docs resources File
    """
    from cookline.kitchen import reference

    if what == "states":
        from cookline.control.lifecycle.diagram import page

        session().terminal.out(page())
        return
    if what != "resources":
        raise UsageError(f"there is no reference of {what!r}", hint="cookline docs resources, cookline docs states")
    if not kind:
        session().terminal.out(reference.reference())
        return
    found = {each.__name__: each for each in reference.kinds()}
    if kind not in found:
        raise UsageError(f"there is no kind {kind!r}{did_you_mean(kind, found)}")
    session().terminal.out(reference.page(found[kind]) + "\n")
