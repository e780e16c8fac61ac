"""The dispatcher against a model of OpsWorks' rules: random fleets, troubles, commands, bursts, hours that pass, clocks that
jump, and crashes of the controller.

COOKLINE_SOAK=1 tries many more of them, other ones each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from kitchen import TurnedClock, write_stack
from mortal import Mortal, World
from opsworks import TROUBLES, Foreseen, Machine, OpsWorks

from cookline.control.lifecycle.command import Command, Report
from cookline.control.lifecycle.states import TRANSITIONS
from cookline.control.lifecycle.timers.tick import Tick
from cookline.control.server.collector import Collector
from cookline.control.stack.revision import freeze
from cookline.protocol import OUTCOMES

SOAK = os.environ.get("COOKLINE_SOAK") == "1"
SOAK_SECONDS = 3600

# name -> layer; st1 is a static host
FLEET = {"lb1": "lb", "app1": "app", "app2": "app", "app3": "app", "st1": "app"}
KINDS = (
    "setup",
    "start",
    "start",
    "stop",
    "shutdown",
    "configure",
    "deploy",
    "undeploy",
    "rollback",
    "run",
    "reboot",
    "reboot",
)
names = st.sampled_from(sorted(FLEET))
some = st.sets(names, min_size=1, max_size=3)
targets = st.none() | some
kinds = st.sampled_from(KINDS)
troubles = st.dictionaries(names, st.sampled_from(TROUBLES), max_size=3)
# at which write to the store the controller dies: a setup of five hosts writes some 90 times, a command on one host 8 times
writes = st.none() | st.integers(1, 15) | st.integers(1, 90)


class Witness:
    """What is told while it goes on: runs that overlap on an instance, and moves that no table has."""

    def __init__(self) -> None:
        self.active: dict[str, str] = {}
        self.wrong: list[str] = []

    def __call__(self, instance: str, event: dict[str, Any]) -> None:
        if event["kind"] == "run_started":
            if self.active.get(instance, event["run"]) != event["run"]:
                self.wrong.append(f"{event['run']} began on {instance} during {self.active[instance]}")
            self.active[instance] = event["run"]
        elif event["kind"] == "outcome" and self.active.get(instance) == event["run"]:
            del self.active[instance]
        elif event["kind"] == "state" and event["state"] not in TRANSITIONS[event["before"]]:
            self.wrong.append(f"{instance} went from {event['before']} to {event['state']}")


class Fleet(RuleBasedStateMachine):
    """One stack, one controller at a time, and the model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cookline-model-"))
        self.world, self.witness, self.clock = World(), Witness(), TurnedClock(1_790_580_600.0)
        self.model = OpsWorks({name: Machine(layer, static=name == "st1") for name, layer in FLEET.items()})
        self.controllers = 0
        self._begin_controller(self.folder / ".cookline")

    def teardown(self) -> None:
        self.controller.close()
        shutil.rmtree(self.folder)

    def _begin_controller(self, directory: Path) -> None:
        self.controllers += 1
        self.witness.active.clear()
        self.controller = Mortal(directory, self.world, server=self.controllers % 2 == 0)
        self.controller.dispatcher.progress.subscribe(self.witness)
        self.tick = Tick(self.controller.dispatcher, clock=self.clock)
        self.collector = Collector(self.controller.dispatcher, lambda namespace, data: None, lambda text: None, self.tick)

    # -- what may happen -------------------------------------------------------------------------------------------------

    @initialize(members=st.sets(names, min_size=2), troubles=troubles)
    def found(self, members: set[str], troubles: dict[str, str]) -> None:
        self.push(members)
        self.command("setup", None, troubles, None)

    @rule(members=st.sets(names, min_size=1))
    def push(self, members: set[str]) -> None:
        """Instances join and leave the definition; no host is touched."""
        instances = {name: FLEET[name] for name in sorted(members)}
        write_stack(self.folder, instances, {name: "static" if name == "st1" else "container" for name in instances})
        self.stack_id = self.controller.store.push(freeze(self.folder / "shop.yml"), author="ann").stack_id
        self.model.stack = set(members)

    def trouble(self, name: str, trouble: str) -> None:
        """One thing is wrong with a host from now on, or none any more."""
        self.model.machines[name].trouble = trouble
        host, provider = self.world.hosts.host(name), self.world.provider
        host.outcome = {"fails": "failed", "locked": "expired"}.get(trouble, "successful")
        host.reason = trouble or None
        host.away = trouble == "away"
        for refused, word in ((provider.cannot_start, "does not start"), (provider.cannot_stop, "does not stop")):
            refused.discard(name)
            refused.update({name} if trouble == word else ())
        if host.away:
            # a link that is open is mended for a minute before it is given up; what is asked here is who cannot be reached
            self.controller.pool.close()

    @rule(name=names, lines=st.integers(1, 5))
    def silence(self, name: str, lines: int) -> None:
        """The link is lost once in the middle of the next run."""
        self.world.hosts.host(name).cut_after.append(lines)

    @rule(kind=kinds, named=targets, troubles=troubles, crash_at=writes)
    def command(self, kind: str, named: set[str] | None, troubles: dict[str, str], crash_at: int | None) -> None:
        """One command, in whose course the controller may die; its successor ends it."""
        for name, trouble in troubles.items():
            self.trouble(name, trouble)
        named = None if named is None else named & self.model.stack
        if named is not None and not named:
            return
        self._forget_requests()
        # none when the controller died before the command was written down: then nothing happens
        for report in self._carry_out([self._command(kind, named)], crash_at):
            self._compare(report, self.model.command(kind, named))

    @precondition(lambda self: self.model.online())
    @rule(
        wanted=st.lists(st.tuples(kinds, targets), min_size=2, max_size=4),
        seconds=st.sampled_from([0.0, 0.01]),
        crash_at=writes,
    )
    def burst(self, wanted: list[tuple[str, set[str] | None]], seconds: float, crash_at: int | None) -> None:
        """Several operators of one server at once: what each gets depends on who is first, what it comes to does not."""
        commands = [(kind, named and named & self.model.stack) for kind, named in wanted]
        commands = [(kind, named) for kind, named in commands if named is None or named]
        self._forget_requests()
        for host in self.world.hosts.hosts.values():
            host.seconds = seconds
        before = self._states()
        reports = self._carry_out([self._command(kind, named) for kind, named in commands], crash_at)
        for host in self.world.hosts.hosts.values():
            host.seconds = 0.0
        for report in reports:
            self._check_report(report)
        self._check_supersedes(reports)
        self._check_everybody_knows(before, reports)
        self._learn()

    @rule(minutes=st.integers(1, 12), troubles=troubles)
    def time_passes(self, minutes: int, troubles: dict[str, str]) -> None:
        """The server looks at everybody once a minute: who is away for five of them is lost, all others stay what they are."""
        for name, trouble in troubles.items():
            self.trouble(name, trouble)
        self._forget_requests()
        before = self._states()
        reports = [report for _ in range(minutes) for report in self._look(60.0)]
        for report in reports:
            self._check_report(report)
        self._check_everybody_knows(before, reports)
        now = self._states()
        for name in (name for name in now if before[name] == "online"):
            if self.model.machines[name].trouble != "away":
                assert now[name] == "online", f"{name} answered and was lost"
            elif minutes > 5:
                assert now[name] != "online", f"nobody noticed that {name} was away"
        assert all(now[name] == "stopped" for name in now if before[name] == "stopped"), "nobody asked for them"
        self._learn()

    @rule(seconds=st.sampled_from([-86400.0, -301.0, 301.0, 86400.0]))
    def the_clock_jumps(self, seconds: float) -> None:
        """Set by somebody; no time has passed. Nobody is lost by that, and nobody who was left alone is started."""
        before = self._states()
        self.clock.time += seconds
        reports = self._look(0.0)
        for report in reports:
            self._check_report(report)
        now = self._states()
        unmoved = ("online", "stopped", "setup_failed")
        assert {name: now[name] for name in now if before[name] in unmoved} == {
            name: state for name, state in before.items() if state in unmoved
        }
        self._learn()

    # -- carrying it out -------------------------------------------------------------------------------------------------

    def _command(self, kind: str, named: set[str] | None) -> Command:
        recipes = ("web::extra",) if kind == "run" else ()
        return Command(kind, "shop", ",".join(sorted(named)) if named is not None else None, recipes=recipes)

    def _carry_out(self, commands: list[Command], crash_at: int | None) -> list[Report]:
        """Reports of the commands, ended by a successor where the controller died."""
        successor = self.folder / f".cookline{self.controllers}"
        if crash_at is not None:
            self.controller.die_at_write(crash_at, successor)
        dispatcher = self.controller.dispatcher
        begun = [dispatcher.begin(command) for command in commands]
        reports = [dispatcher.wait(each) for each in begun]
        if not successor.exists():
            self.controller.store.database.__dict__.pop("transaction", None)
            return reports
        self.controller.close()
        self._begin_controller(successor)
        self.controller.dispatcher.resume()
        runs, dispatcher = self.controller.store.runs, self.controller.dispatcher
        return [dispatcher.report(each.id) for each in runs.commands(self.stack_id) if each.id in begun]

    def _look(self, seconds: float) -> list[Report]:
        """One look of the server, so many seconds after the last; reports of what it began."""
        self.clock.turn(seconds)
        self.collector.collect_all()
        return [self.controller.dispatcher.wait(command) for command in self.tick()]

    def _forget_requests(self) -> None:
        for host in self.world.hosts.hosts.values():
            host.requests.clear()

    def _states(self) -> dict[str, str]:
        return {each.name: each.state for each in self.controller.store.instances.of(self.stack_id)}

    def _learn(self) -> None:
        """The model goes on from where everybody stands: after a burst that is one of several legal ends."""
        for each in self.controller.store.instances.of(self.stack_id):
            machine = self.model.machines[each.name]
            machine.state, machine.left_alone = each.state, each.stopped_on_purpose

    # -- comparing -------------------------------------------------------------------------------------------------------

    def _compare(self, report: Report, foreseen: Foreseen) -> None:
        for phase, expected in enumerate((foreseen.first, foreseen.second)):
            results = [result for result in report.results if result.phase == phase]
            found = {result.instance: result.outcome for result in results}
            assert (report.kind, phase, found) == (report.kind, phase, expected)
        requests = [(host.name, each) for host in self.world.hosts.hosts.values() for each in host.requests]
        ran = [(name, request["event"]) for name, request in requests]
        assert Counter(ran) == Counter(foreseen.executed[0]) + Counter(foreseen.executed[1]), report.kind
        told = [request["snapshot"]["instances"] for _name, request in requests if request["event"] == "configure"]
        for instances in told:
            assert {each["name"] for each in instances if each["online"]} == self.model.online()
        self._check_report(report)
        expected_states = {name: self.model.machines[name].state for name in self.model.stack}
        assert self._states() == expected_states, report.kind

    def _check_report(self, report: Report) -> None:
        assert sum(report.totals.values()) == len(report.results)
        targets = Counter((result.instance, result.phase) for result in report.results)
        assert set(targets.values()) <= {1}, "an instance has one outcome"
        assert {result.outcome for result in report.results} <= set(OUTCOMES)
        assert all(result.reason for result in report.results if result.outcome not in ("successful",)), report
        assert not report.cancelled

    def _check_supersedes(self, reports: list[Report]) -> None:
        """What was superseded names a later configure of the same instance, which came to its own end."""
        runs = self.controller.store.runs
        for report in reports:
            for result in report.results:
                if result.outcome == "superseded":
                    assert result.event == "configure" and result.run and result.reason
                    newer = [run for run in runs.of_instance(self._id(result.instance)) if run.id in result.reason]
                    assert [run.event for run in newer] == ["configure"] and newer[0].id > result.run
                    assert newer[0].outcome is not None

    def _check_everybody_knows(self, before: dict[str, str], reports: list[Report]) -> None:
        """After a burst in which somebody came or went, each good online host's last configure shows who is online."""
        now = self._states()
        came_or_went = {name for name in now if (before[name] == "online") != (now[name] == "online")}
        if not came_or_went:
            return
        online = {name for name, state in now.items() if state == "online"}
        for name in online:
            if self.model.machines[name].trouble:
                continue
            told = [each["snapshot"] for each in self.world.hosts.host(name).requests if each["event"] == "configure"]
            assert told, f"{name} was not told of {came_or_went}"
            assert {each["name"] for each in told[-1]["instances"] if each["online"]} == online, f"{name} knows old news"

    def _id(self, name: str) -> str:
        return next(each.id for each in self.controller.store.instances.of(self.stack_id) if each.name == name)

    # -- what always holds -----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_left_open(self) -> None:
        assert self.witness.wrong == []
        assert self.controller.dispatcher.unfinished() == []
        assert self.controller.store.database.rows("SELECT * FROM claims") == []
        assert self.controller.store.database.rows("SELECT id FROM runs WHERE outcome IS NULL") == []

    @invariant()
    def no_host_hears_an_older_snapshot_later(self) -> None:
        for host in self.world.hosts.hosts.values():
            numbers = [request["snapshot"]["number"] for request in host.requests]
            assert numbers == sorted(numbers), host.name


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS if SOAK else 240)
def test_the_dispatcher_does_what_the_model_of_opsworks_does() -> None:
    if SOAK:
        wanted = settings(deadline=None, max_examples=60, stateful_step_count=20, derandomize=False, print_blob=True)
    else:
        wanted = settings(deadline=None, max_examples=8, stateful_step_count=12)
    run_state_machine_as_test(Fleet, settings=wanted)
