"""init, schema and explain, as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal
from cookline.control.stack.loading import load_stack
from cookline.control.stack.run_list import run_list
from cookline.errors import EXIT_OK, EXIT_USAGE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cookline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty directory; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COOKLINE_DIRECTORY", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        out: list[str] = []
        errors: list[str] = []
        code = run_command(list(arguments), Session(Terminal(out.append, errors.append, 120, False)))
        return code, "".join(out), "".join(errors)

    return run


def test_what_init_writes_loads_without_an_error(cookline: Run, tmp_path: Path) -> None:
    code, out, errors = cookline("init", "shop")
    assert (code, errors) == (EXIT_OK, "")
    assert "now: cd shop && cookline push stacks/shop.yml" in out
    definition = load_stack(tmp_path / "shop/stacks/shop.yml")
    assert definition.stack.name == "shop"
    assert run_list(definition.stack, "host1", "setup") == ["base::default", "hello::default"]
    for file in (tmp_path / "shop").rglob("*.py"):
        compile(file.read_text(), str(file), "exec")


def test_init_touches_no_file_that_is_there(cookline: Run, tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/shop.yml").write_text("mine")
    code, out, errors = cookline("init", "--name", "shop")
    assert (code, out) == (EXIT_USAGE, "")
    assert "has stacks/shop.yml already" in errors
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["shop.yml"]
    assert (tmp_path / "stacks/shop.yml").read_text() == "mine"


def test_init_makes_a_stack_name_of_any_directory(cookline: Run, tmp_path: Path) -> None:
    code, out, _errors = cookline("init", "My café shop!", "--json")
    assert code == EXIT_OK
    written = json.loads(out)
    assert written["stack"] == "My-caf-shop"
    load_stack(tmp_path / "My café shop!/stacks/My-caf-shop.yml")


def test_explain_names_the_winner_and_every_loser_with_file_and_line(cookline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cookline("init")
    code, out, _errors = cookline("explain", "hello.text", "--instance", "host1", "--json")
    explained = json.loads(out)
    assert code == EXIT_OK
    assert explained["value"].startswith("Hello from the stack")
    assert (explained["winner"]["level"], explained["winner"]["position"].rpartition(":")[0].rpartition("/")[2][-4:]) == (
        "stack",
        "l:18",
    )
    [loser] = explained["losers"]
    assert (loser["level"], loser["value"]) == ("cookbook default", "Hello.")
    assert loser["position"].endswith("cookbooks/hello/cookbook.yml:7:3")
    _code, table, _errors = cookline("explain", "hello.text", "--instance", "host1")
    assert "wins" in table and "cookbook.yml:7:3" in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("hello.txt", "-i", "host1"), "did you mean 'text'?"),
        (("hello.text", "-i", "hots1"), "did you mean 'host1'?"),
        (("hello.text", "-i", "host1", "--stack", "missing.yml"), "missing.yml:1:1: cannot be read: No such file or directory"),
        (("hello.text", "-i", "host1", "--app", "shop"), "has no app 'shop'"),
        (("hello.text", "-i", "host1", "--stack", "nobody"), "no stack 'nobody' was pushed here"),
    ],
)
def test_explain_says_what_it_does_not_find(cookline: Run, arguments: tuple[str, ...], sentence: str) -> None:
    cookline("init")
    code, out, errors = cookline("explain", *arguments)
    assert (code, out) == (EXIT_USAGE, "")
    assert sentence in errors


def test_explain_asks_which_stack_when_there_are_several_or_none(cookline: Run, tmp_path: Path) -> None:
    code, _out, errors = cookline("explain", "a.b", "-i", "x")
    assert (code, "`cookline init` writes one" in errors) == (EXIT_USAGE, True)
    (tmp_path / "a.yml").write_text("stack: a\n")
    (tmp_path / "b.yml").write_text("stack: b\n")
    (tmp_path / "other.yml").write_text("nothing: here\n")
    code, _out, errors = cookline("explain", "a.b", "-i", "x")
    assert (code, "--stack takes one of a.yml, b.yml" in errors) == (EXIT_USAGE, True)


def test_the_schema_is_json_and_knows_every_section(cookline: Run) -> None:
    code, out, _errors = cookline("schema")
    schema = json.loads(out)
    assert code == EXIT_OK
    sections = {"stack", "cookbooks", "attributes", "layers", "instances", "apps", "metrics", "keep_runs", "keepalive"}
    assert set(schema["properties"]) == sections
    assert schema["additionalProperties"] is False
