"""cookline clone: a stack with the settings of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cookline.cli.options import AsJson, Stack
from cookline.cli.pushing import author, told
from cookline.cli.session import session
from cookline.errors import UsageError


def clone(
    stack: Stack,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the new stack.")],
    file: Annotated[Path | None, typer.Option("--file", help="Write the new stack's definition there, to go on with.")] = None,
    apps: Annotated[bool, typer.Option(help="Clone the apps too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Push a copy of a stack's newest revision under another name: layers, attributes, cookbooks, apps, and no instances.

    Example: cookline clone shop shop-green --file stacks/shop-green.yml
    """
    from cookline.control.stack.amending import clone_of
    from cookline.control.stack.revision import Revision
    from cookline.control.stack.writing import stack_text

    here = session()
    if new in here.store.revisions.stacks():
        raise UsageError(f"there is a stack {new!r} already", hint="choose another name for the clone")
    old = here.store.revisions.get(stack)
    cloned = clone_of(Revision.load(dict(old.content)), new, apps=apps)
    if file is not None:
        path = here.cwd / file
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(f"# {new}: a clone of {stack}, revision {old.number}\n{stack_text(cloned.stack)}")
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}", hint="--file names a file that is not there yet") from None
    pushed = here.store.push(cloned, author=author(), message=f"clone of {stack}, revision {old.number}")
    told(pushed, 0, cloned, as_json=as_json)
    if not as_json and file is not None:
        here.say(f"  {file} has the definition: add instances and push it")
