"""A walk ends at the first thing that is not as promised, and says which step it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookline.cli.session import Session, Terminal
from cookline.cli.tour import PromiseBroken, Tour
from cookline.errors import CooklineError


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def tour(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Tour:
    monkeypatch.setenv("COOKLINE_DIRECTORY", str(tmp_path / ".cookline"))
    return Tour(Session(Terminal(said.append, said.append, 100, False), cwd=tmp_path))


def test_a_step_is_numbered_and_timed(tour: Tour, said: list[str]) -> None:
    for title in ("look around", "look again"):
        with tour.step(title):
            assert tour.ask("status") == []
    text = "".join(said)
    assert "1. look around" in text and "2. look again" in text
    assert "step 2 took" in text
    assert list(tour.seconds) == ["look around", "look again"]


def test_a_command_is_shown_as_it_would_be_typed(tour: Tour, said: list[str]) -> None:
    assert tour.command("status", "not pushed", good=(1, 2)) > 0
    assert "$ cookline status 'not pushed'\n" in said


def test_a_command_that_fails_ends_the_step_with_its_name(tour: Tour, said: list[str]) -> None:
    with (
        pytest.raises(PromiseBroken, match=r"step 1 \(look around\): `cookline status nowhere` ended with exit status"),
        tour.step("look around"),
    ):
        tour.command("status", "nowhere")
    assert "took" not in "".join(said)


def test_an_error_keeps_its_hint(tour: Tour) -> None:
    with pytest.raises(PromiseBroken, match="it broke") as raised, tour.step("look around"):
        raise CooklineError("it broke", hint="mend it")
    assert raised.value.hint == "mend it"
