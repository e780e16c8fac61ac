"""terminate, on hosts that a provider of the tests has made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal
from cookline.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.unit.lifecycle.kitchen import Kitchen


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """Two application servers and a balancer, all online."""
    made = Kitchen(tmp_path, {"lb1": "lb", "app1": "app", "app2": "app"})
    made.do("setup")
    made.executed()
    yield made
    made.close()


@pytest.fixture
def command(kitchen: Kitchen) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        said: list[str] = []
        terminal = Terminal(said.append, said.append, 120, False)
        code = run_command(list(arguments), Session(terminal, store=kitchen.store, dispatcher=kitchen.dispatcher))
        return code, "".join(said)

    return run


Run = Callable[..., tuple[int, str]]


def test_a_host_is_shut_down_destroyed_and_out_of_the_stack(kitchen: Kitchen, command: Run) -> None:
    code, said = command("terminate", "shop", "app2")
    assert code == EXIT_OK, said
    first, *others = kitchen.executed()
    assert (first, sorted(others)) == (("app2", "shutdown"), [("app1", "configure"), ("lb1", "configure")])
    assert kitchen.provider.calls[-2:] == [("stop", ("app2",)), ("destroy", ("app2",))]
    assert kitchen.states() == {"app1": "online", "lb1": "online"}
    newest = json.loads(command("history", "shop", "--json")[1])[0]
    assert (newest["revision"], newest["instances"], newest["message"]) == (2, 2, "terminate app2")


def test_one_that_is_stopped_runs_no_recipes(kitchen: Kitchen, command: Run) -> None:
    kitchen.do("stop", "app2")
    kitchen.executed()
    assert command("terminate", "shop", "app2")[0] == EXIT_OK
    assert kitchen.executed() == []


def test_one_that_does_not_stop_is_not_destroyed(kitchen: Kitchen, command: Run) -> None:
    kitchen.provider.cannot_stop.add("app2")
    code, said = command("terminate", "shop", "app2")
    assert code == EXIT_FAILED
    assert "app2 did not stop, so nothing was destroyed" in said
    assert ("destroy", ("app2",)) not in kitchen.provider.calls
    assert "app2" in kitchen.states()


def test_the_same_name_begins_anew(kitchen: Kitchen, command: Run) -> None:
    command("terminate", "shop", "app2")
    command("revert", "shop", "1")
    assert kitchen.states()["app2"] == "stopped"
    assert kitchen.do("start", "app2").exit_code == EXIT_OK


def test_an_unknown_name_is_told(command: Run) -> None:
    code, said = command("terminate", "shop", "app3")
    assert code == EXIT_USAGE and "did you mean" in said
