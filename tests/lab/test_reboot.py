"""A run that reboots its host and goes on. The host, the boots and the connection are real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

Cook = Callable[[str], Controller]

RECIPE = """
    def recipe(node):
        node.ensure(Execute("cat /proc/sys/kernel/random/boot_id >> /root/boots"))
        node.ensure(File("/root/first", content="x"), later=Run("echo paid >> /root/paid"))
        node.ensure(Reboot("a new kernel"))
        node.ensure(File("/root/after", content="x"))
"""


@pytest.fixture
def cook(host: LabHost, tmp_path: Path) -> Iterator[Cook]:
    made: list[Controller] = []

    def controller(recipe: str) -> Controller:
        made.append(Controller(target_of(host, tmp_path), recipe))
        return made[-1]

    yield controller
    for each in made:
        each.close()


def test_a_run_goes_on_after_its_reboot_and_the_controller_follows_it_over(host: LabHost, cook: Cook) -> None:
    with host.expect_reboot():
        run = cook(RECIPE).begin()
        run.wait_for("attempt_finished")
    end = run.join()
    assert end["outcome"] == "successful", end
    assert [event["seq"] for event in run.events] == list(range(len(run.events))), "no event is lost or doubled"
    assert [event["attempt"] for event in run.events if event["kind"] == "attempt_started"] == [2]
    boots = host.run("cat /root/boots").stdout.split()
    assert len(boots) == len(set(boots)) == 2, "each attempt ran once, from the top, in a boot of its own"
    ended = [(event["name"], event["kind"]) for event in run.events if "seconds" in event and "name" in event]
    assert ended[-3:] == [
        ("File[/root/first]", "unchanged"),
        ("Reboot[a new kernel]", "unchanged"),
        ("File[/root/after]", "changed"),
    ]
    assert host.run("cat /root/paid").stdout == "paid\n", "what was owed before the reboot is paid after it, once"
    assert end["owed"] == [] and end["totals"] == {"changed": 5, "unchanged": 0}
    assert host.run("ls /etc/systemd/system/cookline-resume.service /var/lib/cookline/runs/*/resume.json").stdout == ""


def test_another_run_waits_for_the_one_that_goes_on(host: LabHost, cook: Cook) -> None:
    with host.expect_reboot():
        first = cook(RECIPE).begin()
        first.wait_for("attempt_finished")
    other = cook('def recipe(node): node.ensure(Execute("test -e /root/after"))').begin(lock_wait=60.0)
    assert first.join()["outcome"] == "successful"
    assert other.join()["outcome"] == "successful"


def test_a_power_cut_in_the_second_attempt_ends_the_run_as_interrupted(host: LabHost, cook: Cook) -> None:
    with host.expect_reboot():
        run = cook(RECIPE + '        node.ensure(Execute("sleep 60"))\n').begin()
        run.wait_for("attempt_finished")
    run.wait_for("started", "Execute[sleep 60]")
    host.power_cut()
    host.boot()
    end = run.join()
    assert (end["outcome"], end["reason"]) == ("failed", "interrupted")
    assert len(host.run("cat /root/boots").stdout.split()) == 2, "an attempt is never made twice"
