"""cookline backup: the whole store in one file, while others go on working with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.session import session


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; one that is there is not replaced.")],
    as_json: AsJson = False,
) -> None:
    """Copy revisions, instances, runs, tokens, secrets and metrics into one tar archive, readable by nobody else.

    `tar -xf FILE -C .cookline` in an empty project brings it back. The copy is another store: hosts of the original obey
    it from `cookline setup STACK --take-over` on.

    Example: cookline backup /backup/shop-monday.tar
    """
    from cookline.control.store.backup import write

    here = session()
    size = write(here.directory, here.cwd / file)
    if as_json:
        here.json({"file": str(here.cwd / file), "bytes": size})
        return
    here.say(f"{file}: {size / 1e6:.1f} MB, with the secrets of {here.directory} in clear")
