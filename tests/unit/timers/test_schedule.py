"""Time-based instances run in their hours of UTC, and whoever contradicts the schedule by hand is obeyed until it changes."""

from __future__ import annotations

from typing import Any

import pytest
from clockwork import HOUR, MONDAY, Clockwork

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.timers.weekly import is_on, next_change
from cookline.control.stack.models import Instance, Schedule
from cookline.control.stack.revision import Revision
from cookline.errors import StackError

DAY = 24 * HOUR
OFFICE = {"app1": "", "app2": ", schedule: {weekdays: 8-18, saturday: [9, 20-24]}"}


def hours(made: Clockwork, count: float) -> None:
    made.clock.turn(count * HOUR)
    made.look()


@pytest.fixture
def office(clockwork: Any) -> Clockwork:
    made: Clockwork = clockwork(instances=OFFICE)
    made.kitchen.do("setup")
    made.look()
    return made


def test_an_instance_starts_and_stops_with_its_hours_and_everybody_is_told(office: Clockwork) -> None:
    assert office.states == {"app1": "online", "app2": "stopped"}, "setup of the whole stack leaves it to its schedule"
    office.kitchen.executed()
    hours(office, 0.5)
    assert office.states["app2"] == "online"
    assert office.kitchen.executed() == [("app2", "setup"), ("app1", "configure"), ("app2", "configure")]
    hours(office, 9.75)
    assert office.states["app2"] == "online"
    hours(office, 0.25)
    assert office.states["app2"] == "stopped"
    assert office.kitchen.executed() == [("app2", "shutdown"), ("app1", "configure")]
    assert office.commands() == [("start", "app2", "auto-scaling"), ("stop", "app2", "auto-scaling")]


def test_who_starts_or_stops_by_hand_is_obeyed_until_the_schedule_changes(office: Clockwork) -> None:
    office.kitchen.do("start", "app2")
    office.look()
    assert office.states["app2"] == "online", "half past seven, by hand"
    hours(office, 2)
    office.kitchen.do("stop", "app2")
    hours(office, 1)
    assert office.states["app2"] == "stopped", "half past ten, by hand"
    hours(office, 22)
    assert office.states["app2"] == "online", "the next morning"


def test_a_server_that_was_down_when_the_hour_struck_catches_up(office: Clockwork) -> None:
    office.restart_server()
    hours(office, 3)
    assert office.states["app2"] == "online"
    office.restart_server()
    hours(office, 10)
    assert office.states["app2"] == "stopped"


def test_an_instance_that_does_not_start_is_left_with_its_reason(office: Clockwork) -> None:
    office.kitchen.provider.cannot_start = {"app2"}
    hours(office, 1)
    hours(office, 1)
    assert office.states["app2"] == "start_failed" and len(office.commands()) == 1


def test_start_by_name_is_how_a_whole_stack_command_says_it(office: Clockwork) -> None:
    report = office.kitchen.dispatcher.dispatch(Command("start", "shop"))
    [reason] = [each.reason for each in report.results if each.instance == "app2"]
    assert reason == "it is started by its schedule; `cookline start app2` starts it now"


def test_hours_are_of_utc_by_weekday() -> None:
    schedule = Schedule(weekdays="8-18", saturday=[9, "20-24"])
    on = [hour for hour in range(7 * 24) if is_on(schedule, MONDAY - 7.5 * HOUR + hour * HOUR)]
    assert on == [day * 24 + hour for day in range(5) for hour in range(8, 18)] + [5 * 24 + h for h in (9, 20, 21, 22, 23)]
    assert next_change(schedule, MONDAY) == MONDAY + 0.5 * HOUR
    assert next_change(schedule, MONDAY + 5 * DAY + 14 * HOUR) == MONDAY + 5 * DAY + 16.5 * HOUR, "Saturday's midnight"
    assert next_change(Schedule(daily="0-24"), MONDAY) is None
    assert not is_on(Schedule(), MONDAY), "all off by default"


@pytest.mark.parametrize("hours", ["8:00", "18-8", "24", "0-25", "on", "-3", True, 8.5, {"8-18": "on"}])
def test_hours_that_say_nothing_are_refused(hours: Any) -> None:
    with pytest.raises(ValueError, match="wants hours of UTC such as 8-18"):
        Schedule(monday=hours)


def test_a_host_that_nobody_can_start_has_no_schedule(clockwork: Any) -> None:
    with pytest.raises(StackError, match="its provider, static, cannot start and stop it"):
        clockwork(instances={"app1": ", schedule: {monday: 8}"}, provider="static")
    with pytest.raises(ValueError, match="an instance is started by one of them"):
        Instance(layers=["app"], provider="container", load=True, schedule={"monday": 8})


def test_a_stored_revision_that_is_recalled_keeps_its_hours(office: Clockwork) -> None:
    stored = office.store.revisions.get("shop").content
    definition = Revision.recall(stored).stack.instances["app2"]
    assert is_on(definition.schedule, MONDAY + HOUR) and not is_on(definition.schedule, MONDAY)
