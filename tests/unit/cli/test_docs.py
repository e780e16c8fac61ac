"""docs/apps.md and docs/revisions.md are true as far as a machine can tell: commands can be typed, definitions be read."""

import re
import textwrap
from pathlib import Path

import click
import pytest

from cookline.cli.app import COMMANDS, application
from cookline.control.stack.models import FIELDS_OF_SOURCE
from cookline.control.stack.reading import parse

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs/apps.md", ROOT / "docs/revisions.md"]
TEXT = "\n".join(page.read_text() for page in PAGES)
TYPED = sorted(set(re.findall(r"^ {4}(cookline .+?)(?: {2,}#.*)?$", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("line", TYPED)
def test_a_command_line_can_be_parsed(line: str) -> None:
    _, word, *rest = line.split()
    command = application([word]).commands[word]  # type: ignore[attr-defined]
    with click.Context(command, info_name=word) as context:
        command.parse_args(context, rest)


def test_the_commands_that_are_named_exist() -> None:
    assert set(re.findall(r"`cookline\s+([a-z]+)", TEXT)) <= set(COMMANDS)


def test_the_definitions_are_good() -> None:
    from cookline.control.stack.models import Stack

    blocks = re.findall(r"(?m)^ {4}(?:apps|instances):\n(?: {4,}.*\n)+", TEXT)
    assert len(blocks) == 2
    for block in blocks:
        data = parse(textwrap.dedent(block), "docs").data
        Stack.model_validate({"stack": "shop", "layers": {"app": {}}, **data})


def test_the_table_of_sources_is_whole() -> None:
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", TEXT))
    for kind, (needed, allowed) in FIELDS_OF_SOURCE.items():
        assert {*needed, *allowed} <= set(re.findall(r"`(\w+)`", rows[kind])), kind
