"""Every kind keeps the contract on a real host: converges, converges again with no change, is found when it drifted, is mended,
is removed. The cases are data: see cases.py. COOKLINE_TEST_IMAGES=debian-11,debian-13 proves them on other hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cookline.control.transport.pool import Pool
from tests.conftest import LabHosts
from tests.contract.cases import Case, all_cases
from tests.contract.converger import Converger, Event
from tests.contract.looks import look
from tests.lab.hosts import LabHost

CASES = all_cases()
IMAGES = os.environ.get("COOKLINE_TEST_IMAGES", "debian-12").split(",")


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.kind}-{case.name}") for case in CASES])
def test_contract(case: Case, image: str, lab_hosts: LabHosts, pool: Pool) -> None:
    (host,) = lab_hosts(1, image=image)
    if case.start:
        host.run(case.start, check=True)
    converger = Converger(pool, host, case)
    if case.error:
        _fails(case, host, converger)
        return
    planned = _plans(converger)
    event = _converges(case, host, converger)
    if event["undo"]:
        _is_undone(case, converger, event["run"], planned)
        _converges(replace(case, changes=case.undone or case.changes), host, converger)
    if case.break_:
        _drifts_and_is_mended(case, host, converger)
    if case.remove:
        _is_removed(case, host, converger)


def _fails(case: Case, host: LabHost, converger: Converger) -> None:
    end, (event,) = converger.run()
    assert end["outcome"] == "failed"
    assert event["kind"] == "failed"
    assert case.error in event["error"]
    assert "Traceback" not in event["error"]
    look(host, case.look)


def _plans(converger: Converger) -> list[Event]:
    """The changes that the plan announces."""
    end, (event,) = converger.run(apply=False)
    assert end["outcome"] == "successful", end
    assert event["kind"] == "will_change"
    changes: list[Event] = event["changes"]
    return changes


def _is_undone(case: Case, converger: Converger, run: str, planned: list[Event]) -> None:
    """What the run changed is as it was: the next plan announces all of it again."""
    assert converger.undo(run)["outcome"] == "successful"
    again = [{"field": name, "from": before, "to": after} for name, (before, after) in case.undone.items()]
    assert _plans(converger) == (again or planned)


def _converges(case: Case, host: LabHost, converger: Converger) -> Event:
    event = _ends(converger, "changed")
    event["run"] = converger.last
    reported = {change["field"]: [change["from"], change["to"]] for change in event["changes"]}
    assert set(reported) == set(case.changes)
    assert {name: values for name, values in reported.items() if case.changes[name] != "*"} == {
        name: values for name, values in case.changes.items() if values != "*"
    }
    look(host, case.look)
    if case.break_ or case.remove:
        _ends(converger, "unchanged")
        assert converger.drift() == []
    return event


def _drifts_and_is_mended(case: Case, host: LabHost, converger: Converger) -> None:
    host.run(case.break_, check=True)
    (finding,) = converger.drift()
    assert finding["resource"].startswith(f"{case.kind}[")
    assert sorted(each["field"] for each in finding["differences"]) == sorted(case.drift)
    _ends(converger, "changed")
    look(host, case.look)
    assert converger.drift() == []


def _is_removed(case: Case, host: LabHost, converger: Converger) -> None:
    _ends(converger, "changed", **case.remove)
    look(host, case.gone)
    _ends(converger, "unchanged", **case.remove)


def _ends(converger: Converger, outcome: str, **changed: Any) -> Event:
    end, events = converger.run(**changed)
    assert end["outcome"] == "successful", end
    assert [event["kind"] for event in events] == [outcome], events
    return events[0]
