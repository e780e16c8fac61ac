"""Every kind keeps the contract on a real host. The cases are data, see cases.py; the laws are in laws.py.

All cases on Debian 12, one of each kind on 11 and 13, a run killed at one step of each; `make soak` has all of all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cookline.control.transport.pool import Pool as Connections
from cookline.errors import CooklineError
from tests.conftest import LabHosts
from tests.contract.cases import Case, all_cases
from tests.contract.laws import Trial
from tests.lab.hosts import LabHost, Pool


def weight(case: Case) -> tuple[bool, bool, int]:
    return bool(case.break_), bool(case.remove), len(case.changes)


SOAK = bool(os.environ.get("COOKLINE_SOAK"))
IMAGES = ("debian-12", "debian-11", "debian-13")
CASES = all_cases()
# of each kind the case that says most
ONE_A_KIND = list({case.kind: case for case in sorted(CASES, key=weight) if not case.error}.values())


def chosen(image: str) -> list[Case]:
    return CASES if SOAK or image == "debian-12" else ONE_A_KIND


PARAMETERS = [pytest.param(image, case, id=f"{case.kind}-{case.name}-{image}") for image in IMAGES for case in chosen(image)]


@pytest.fixture
def connections() -> Iterator[Connections]:
    with Connections() as connections:
        yield connections


def fresh(lab_hosts: LabHosts, image: str) -> LabHost:
    try:
        return lab_hosts(1, image=image)[0]
    except CooklineError as error:
        if image == "debian-12":
            raise
        pytest.skip(f"no host of {image} can be made here: {error.message}")


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("image", "case"), PARAMETERS)
def test_contract(image: str, case: Case, lab_hosts: LabHosts, connections: Connections) -> None:
    trial = Trial(case, fresh(lab_hosts, image), connections)
    if case.error:
        trial.fails()
        return
    trial.plans()
    trial.converges_as_planned()
    trial.is_quiet()
    trial.is_undone()
    if trial.undoable:
        assert trial.is_mended_after_a_kill(trial.sampled_step())
    if case.break_:
        trial.drifts()
        if not trial.undoable:
            trial.is_mended_after_a_kill(trial.sampled_step())
        else:
            trial.is_repaired()
    if case.remove:
        trial.is_removed()


if SOAK:  # ten minutes for each image; test_contract has one step of each case

    @pytest.mark.soak
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize(("image", "case"), [each for each in PARAMETERS if not each.values[1].error])
    def test_a_run_killed_at_any_step_is_mended_by_the_next(
        image: str, case: Case, lab_hosts: LabHosts, lab_pool: Pool, connections: Connections
    ) -> None:
        step, killed = 0, True
        while killed:
            step += 1
            killed = Trial(case, fresh(lab_hosts, image), connections).is_mended_after_a_kill(step)
            lab_pool.give_back()
        assert step > 1, "the run was never killed"
