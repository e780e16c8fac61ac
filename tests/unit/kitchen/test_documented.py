"""docs/testing.md is true: its examples run, its commands exist."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import typer

from cookline.cli.kitchen import kitchen

TEXT = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
EXAMPLE = re.search(r" {4}from cookline\.kitchen import converge\n(?: {4}.*\n|\n)+", TEXT)
assert EXAMPLE is not None
NAMES: dict[str, object] = {}
exec(textwrap.dedent(EXAMPLE.group()), NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("test_")])
def test_an_example_of_a_test_without_a_host_passes(name):
    NAMES[name]()


def test_each_command_that_is_named_exists_and_each_that_exists_is_named():
    commands = set(typer.main.get_command(kitchen).commands)
    named = set(
        re.findall(
            r"(?:cookline kitchen |`)(list|create|converge|verify|test|login|exec|destroy|fault|snapshot|init|diagnose|logs)\b",
            TEXT,
        )
    )
    assert named == commands
