"""cookline schema: what a stack definition may say, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from cookline.cli.session import session


def schema(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines (the schema always is).")] = False,
) -> None:
    """Print the JSON schema of stack definitions, with which an editor completes and checks them.

    Example: cookline schema > stacks/schema.json

    Then write as first line of a stack: # yaml-language-server: $schema=schema.json
    """
    from cookline.control.stack.schema import stack_schema

    session().json(stack_schema())
