"""cookline watch: save a file, and see what it changes on the hosts."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cookline.cli.options import On
from cookline.cli.render.loop import LoopView
from cookline.cli.session import session
from cookline.errors import UsageError


def watch(
    stack: Annotated[Path, typer.Argument(help="The stack definition; it was pushed, and its hosts are online.")],
    on: On = None,
    verify: Annotated[bool, typer.Option(help="Run the testinfra tests of the cookbooks that a save touches.")] = True,
) -> None:
    """Bring each save to the hosts within a second: the difference is shown, tests follow, errors stay until they are mended.

    Nothing is pushed by it. Ctrl-C ends it. Example: cookline watch stacks/shop.yml --on app1
    """
    here = session()
    if not stack.is_file():
        raise UsageError(f"there is no file {stack}", hint="cookline watch stacks/NAME.yml")
    from cookline.kitchen.loop import Loop

    view = LoopView(here)

    def show(instance: str, event: Mapping[str, Any]) -> None:
        view.event(instance, event)

    loop = Loop(here.directory, stack, show, on=on, verify=verify)
    here.own(loop)
    here.say(f"{loop.revision.stack.name}: {', '.join(loop.names)}")
    stop = threading.Event()
    try:
        loop.begin()
        here.say(f"watching {os.path.relpath(stack)} and its {len(loop.revision.cookbooks)} cookbooks; Ctrl-C ends it")
        loop.go(stop)
    except KeyboardInterrupt:
        here.say("")
    finally:
        loop.close()
