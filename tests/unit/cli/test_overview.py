"""What `cookline --help` and each command's own help tell a newcomer."""

from pathlib import Path

import pytest

from cookline.cli.app import COMMANDS
from tests.unit.cli.conftest import Run

GROUPS = {"kitchen", "app", "token"}


def test_every_command_stands_in_its_section_with_its_whole_first_sentence(
    command: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _errors = command("--help")
    out += capsys.readouterr().out
    assert code == 0
    assert "..." not in out.partition("\n")[2]
    place = -1
    for section in dict.fromkeys(panel for _, _, panel in COMMANDS.values()):
        assert (place := out.index(f"\n{section}:\n", place + 1)) > 0
    for name in COMMANDS:
        assert f"\n  {name} " in out


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - GROUPS))
def test_every_help_shows_an_example(command: Run, capsys: pytest.CaptureFixture[str], name: str, tmp_path: Path) -> None:
    code, out, _errors = command(name, "--help")
    out += capsys.readouterr().out
    assert code == 0
    assert "Example" in out and f"cookline {name}" in out.replace("\n", " ")
