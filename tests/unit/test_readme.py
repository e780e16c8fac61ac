"""README and docs are true as far as a machine can tell: its commands, its files, its recipe, its exit codes."""

import re
import shlex
import textwrap
from pathlib import Path

import click
import pytest

from cookline import errors
from cookline.cli.app import COMMANDS, application

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
COMMAND_LINE = re.compile(r"^ {4}(cookline .+?)(?: {2,}#.*)?$", re.MULTILINE)
TYPED = sorted({line for text in (README, *DOCS.values()) for line in COMMAND_LINE.findall(text)})


@pytest.mark.parametrize("line", TYPED)
def test_a_command_line_can_be_parsed(line: str) -> None:
    _, word, *rest = [each for each in shlex.split(line) if each != "--no-server"]
    command = application([word]).commands[word]  # type: ignore[attr-defined]
    with click.Context(command, info_name=word) as context:
        command.parse_args(context, rest)


def test_the_commands_that_are_named_exist() -> None:
    named = {word for text in (README, *DOCS.values()) for word in re.findall(r"`cookline ([a-z_]+)", text)}
    assert named and named <= set(COMMANDS)


def test_every_environment_variable_is_explained_on_one_page() -> None:
    files = [path for folder in ("agent", "tests") for path in (ROOT / folder).rglob("*.py")]
    used = {name for path in [*files, ROOT / "Makefile"] for name in re.findall(r"(?<!_)COOKLINE_[A-Z_]+", path.read_text())}
    explained = set(re.findall(r"`(COOKLINE_[A-Z_]+)`", DOCS["troubleshooting.md"]))
    assert used == explained


def test_the_files_that_are_named_exist() -> None:
    named = re.findall(r"`((?:cookbooks|stacks|vagrant|tests)/[\w./-]*)`", README)
    named += re.findall(r"^ {4}((?:agent/cookline|cookbooks|stacks|vagrant|tests)/) ", README, re.MULTILINE)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_recipe_is_the_one_that_ships() -> None:
    shown = re.search(r"# (cookbooks/\S+\.py)\n((?: {4}.*\n)+)", README)
    assert shown is not None
    assert textwrap.dedent(shown[2]) in (ROOT / shown[1]).read_text()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert table == {value for name, value in vars(errors).items() if name.startswith("EXIT_") and isinstance(value, int)}


def test_every_page_is_found_from_the_readme() -> None:
    assert set(DOCS) == set(re.findall(r"docs/(\w+\.md)", README))
