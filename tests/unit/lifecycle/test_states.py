"""The state words: OpsWorks' twenty, and what may become what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from cookline.control.lifecycle.states import MOVING, STATES, TRANSITIONS, move, refusal
from cookline.control.store.store import Store
from cookline.errors import RunError

OPSWORKS = """
assigning booting connection_lost deregistering online pending rebooting registered registering requested
running_setup setup_failed shutting_down start_failed stop_failed stopped stopping terminated terminating unassigning
"""


def test_the_words_are_those_of_opsworks() -> None:
    assert sorted(STATES) == OPSWORKS.split()
    assert {word for ways in TRANSITIONS.values() for word in ways} <= set(STATES)
    assert set(STATES) > MOVING


@pytest.mark.parametrize(
    "way",
    [
        "stopped requested pending booting running_setup online shutting_down stopping stopped",
        "online shutting_down stopped requested",
        "booting start_failed requested",
        "running_setup setup_failed running_setup online",
        "online connection_lost running_setup online",
        "online rebooting online",
        "stopped terminating terminated",
    ],
)
def test_ways_that_are_legal(way: str) -> None:
    assert [refusal("app1", *pair) for pair in pairwise(way.split())] == [None] * (len(way.split()) - 1)


@pytest.mark.parametrize(
    "current, wanted",
    [
        ("stopped", "online"),
        ("stopped", "running_setup"),
        ("terminated", "requested"),
        ("booting", "online"),
        ("online", "stopped"),
    ],
)
def test_ways_that_are_refused_say_what_is_possible(current: str, wanted: str) -> None:
    reason = refusal("app1", current, wanted)
    assert reason is not None and reason.startswith(f"app1 is {current} and cannot become {wanted}")


def test_every_state_but_terminated_has_a_way_out_and_a_way_in() -> None:
    reachable = {word for ways in TRANSITIONS.values() for word in ways}
    assert [word for word in STATES if not TRANSITIONS[word]] == ["terminated"]
    assert set(STATES) == reachable


def test_a_wrong_word_names_the_nearest() -> None:
    assert "did you mean 'online'" in str(refusal("app1", "stopped", "onlin"))


def test_moving_keeps_online_since(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        pushed = store.revisions.push("shop", {}, "h", author="ann")
        store.instances.declare(pushed.stack_id, {"app1": (("app",), "static")})
        [instance] = store.instances.of(pushed.stack_id)
        for word in ("requested", "pending", "booting", "running_setup", "online"):
            move(store, instance.id, word)
        since = store.instances.get(instance.id).online_since
        assert since is not None
        move(store, instance.id, "online")
        assert store.instances.get(instance.id).online_since == since
        with pytest.raises(RunError, match="app1 is online and cannot become stopped"):
            move(store, instance.id, "stopped", last_event="x")
        assert store.instances.get(instance.id).last_event is None, "a refused move changes nothing"
        move(store, instance.id, "shutting_down")
        assert store.instances.get(instance.id).online_since is None


def test_the_page_of_states_is_what_the_table_says() -> None:
    from cookline.control.lifecycle.diagram import page

    kept = Path(__file__).parents[3] / "docs" / "states.md"
    assert kept.read_text() == page(), "cookline docs states > docs/states.md"
