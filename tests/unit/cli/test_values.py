"""Values of a command line are read as typer reads them, without importing what typer needs for that."""

import subprocess
import sys
from typing import Annotated

import pytest
import typer

from cookline.cli.values import spare_pydantic


def command(read: list[object]) -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    def count(
        name: str,
        times: Annotated[int, typer.Option()] = 1,
        pause: Annotated[float | None, typer.Option()] = None,
        word: Annotated[list[str] | None, typer.Option()] = None,
        loud: Annotated[bool, typer.Option("--loud")] = False,
        few: Annotated[int, typer.Option(max=3)] = 1,
    ) -> None:
        read.append((name, times, pause, word, loud, few))

    return app


LINES = ["x", "x --times 3 --pause 2", "x --pause 1.5", "7 --word a --word 1", "x --loud --few 2", "x --times -4"]
WRONG = ["x --times many", "x --pause 1,5", "x --few 9", "", "x --times 1.5"]


def outcome(line: str) -> tuple[list[object], str]:
    read: list[object] = []
    try:
        typer.main.get_command(command(read)).main(line.split(), prog_name="count", standalone_mode=False)
    except Exception as error:
        return read, str(error)
    return read, ""


@pytest.mark.parametrize("line", [*LINES, *WRONG])
def test_values_are_what_typer_makes_of_them(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build = getattr(typer.core, "build_runtime_param", None)
    monkeypatch.setattr(typer.core, "build_runtime_param", getattr(build, "_build", build), raising=False)
    by_typer = outcome(line)
    spare_pydantic()
    assert outcome(line) == by_typer
    assert bool(by_typer[1]) == (line in WRONG)


def test_a_command_with_plain_values_imports_no_pydantic() -> None:
    code = "from cookline.cli.app import application; import sys; application(['configure']).main("
    code += "['configure', '--help'], standalone_mode=False); print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
