"""From a command to rows of the store: who is targeted, which runs there are, and the configure that follows."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cookline.control.lifecycle import draining, plan
from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.plan import Member, Step, Wanted
from cookline.control.lifecycle.requests import recipes_of
from cookline.control.lifecycle.rollout import Rollout, batch_numbers
from cookline.control.lifecycle.turns import supersede
from cookline.control.stack.weekly import automatic
from cookline.control.store.identifiers import new_identifier
from cookline.control.store.runs import ASKED, FOLLOWING, TAKING_BACK, CommandRecord, RunRecord, new_run
from cookline.errors import SelectorError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.lifecycle.hosts import Hosts
    from cookline.control.lifecycle.requests import Revisions
    from cookline.control.lifecycle.snapshots import Snapshots
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store

# What `plan` looks at when nothing is said: all that a new instance goes through.
PLANNED_EVENTS = ("setup", "configure")


@dataclass(frozen=True)
class Planned:
    """A command as it stands in the store. `steps` are those of the first wave, also the skipped ones; `runs` by instance."""

    id: str
    command: Command
    steps: tuple[Step, ...]
    runs: Mapping[str, str]


class Planner:
    def __init__(self, store: Store, hosts: Hosts, revisions: Revisions, snapshots: Snapshots, user: str) -> None:
        self.store, self.hosts, self.revisions, self.snapshots, self.user = store, hosts, revisions, snapshots, user

    def plan(self, command: Command) -> Planned:
        """Decide and write down, in one transaction. Raises UsageError (SelectorError) for what cannot be meant."""
        newest = self.store.revisions.get(command.stack, command.revision)
        revision = self.revisions.get(command.stack, newest.number)
        command = replace(command, revision=newest.number, apps=self._apps(command, revision))
        self._check(command, revision)
        with self.store.database.transaction():
            instances = self.store.instances.of(newest.stack_id)
            names = self.select(revision, command.on, instances)
            members = self.members(revision, instances, need_power=command.kind in plan.FOLLOWED)
            if command.kind == "plan":
                waves = [self._look(event, names, members) for event in command.events or PLANNED_EVENTS]
            else:
                waves = [plan.steps(Wanted(command.kind, names, command.apps, command.recipes), members)]
            return self._write(command, newest.stack_id, waves, members)

    def follow(self, command_id: str, told: Collection[str] = ()) -> list[str]:
        """The configure runs that a command brings about, written down; those that were written before, after a crash.

        `told` are those that a configure before the others left has told already (see draining).
        """
        record = self.store.runs.command(command_id)
        with self.store.database.transaction():
            known = self.store.runs.of_command(command_id, FOLLOWING)
            if known:
                return [run.id for run in known if run.outcome is None]
            first = [run for run in self.store.runs.of_command(command_id) if run.phase in (ASKED, TAKING_BACK)]
            command = Command.from_dict(record.options["command"])
            revision = self.revisions.get(command.stack, record.revision)
            instances = self.store.instances.of(record.stack_id)
            members = self.members(revision, instances)
            online = {member.name for member in members if member.state == "online" or member.was_online}
            entered = {run.instance for run in first if run.event == "setup" and run.outcome == "successful"} & online
            steps = plan.follow_up(record.options["online"], entered, members)
            steps = [step for step in steps if step.name not in told]
            steps = _spared(steps, revision, command, [each.name for each in instances if each.owed])
            if record.cancelled is not None:
                catch_up = f"the command was cancelled; `cookline configure {command.stack}` catches up"
                steps = [replace(step, skip=catch_up) for step in steps]
            runs = [_run(command_id, step, phase=FOLLOWING) for step in steps]
            self.store.runs.add(runs)
            self._supersede(record.stack_id, record.revision, runs)
        return [run.id for run in runs if run.outcome is None]

    def _supersede(self, stack_id: str, revision: int, configures: Sequence[RunRecord]) -> None:
        number = self.snapshots.take(stack_id, revision)
        for run in configures:
            if run.outcome is None:
                supersede(self.store.runs, run.instance_id, run.id, number)

    def select(self, revision: Revision, on: str | None, instances: Sequence[Instance]) -> tuple[str, ...] | None:
        """Names for a selector, None for the whole stack. Raises SelectorError for one that matches nothing."""
        if on is None:
            return None
        from cookline.control.stack.selectors import select

        states = {instance.name: instance.state for instance in instances}
        return tuple(select(revision.stack, on, states, {instance.name: instance.facts for instance in instances}))

    def members(self, revision: Revision, instances: Sequence[Instance], *, need_power: bool = False) -> list[Member]:
        """What the rules know of each instance of the revision, in the order of the definition."""
        from cookline.control.stack.run_list import apps_of

        known = {instance.name: instance for instance in instances}
        return [
            Member(
                name=name,
                id=known[name].id,
                state=known[name].state,
                layers=tuple(definition.layers),
                apps=tuple(apps_of(revision.stack, name)),
                can_start=need_power and self.hosts.provider(definition.provider).can_start,
                on_purpose=known[name].stopped_on_purpose,
                automatic=automatic(definition.schedule, definition.load),
                was_online=known[name].online,
            )
            for name, definition in revision.stack.instances.items()
            if name in known
        ]

    def _apps(self, command: Command, revision: Revision) -> tuple[str, ...]:
        known = revision.stack.apps
        for app in command.apps:
            if app not in known:
                raise SelectorError(f"stack {command.stack} has no app {app!r}{did_you_mean(app, known)}")
        if command.kind in plan.OF_APPS and not command.apps:
            if not known:
                raise UsageError(f"stack {command.stack} has no apps to {command.kind}", hint="add one below `apps:` and push")
            return tuple(known)
        return command.apps

    def _check(self, command: Command, revision: Revision) -> None:
        if command.kind != "plan":
            plan.rule_of(command.kind)
        if command.rollout is not None:
            Rollout.from_dict(command.rollout).check(command.kind)
            draining.check(revision, command.rollout)
        if command.kind == "run" and not command.recipes:
            raise UsageError("run needs the recipes to run", hint=f"`cookline run {command.stack} base::default`")
        if command.attributes:
            from cookline.control.stack.checks import check_event_attributes

            check_event_attributes(revision, command.attributes, "--set")

    def _look(self, event: str, names: tuple[str, ...] | None, members: Sequence[Member]) -> list[Step]:
        """One look at each instance. What follows a setup depends on it, so that cannot be asked of a host without one."""
        wanted = [member for member in members if names is None or member.name in names]
        return [Step(each.name, each.id, event, "" if event == "setup" else _setup_first(event, each)) for each in wanted]

    def _write(self, command: Command, stack_id: str, waves: Sequence[Sequence[Step]], members: Sequence[Member]) -> Planned:
        command_id = new_identifier()
        apply = command.kind != "plan"
        runs = [_run(command_id, step, phase=n, apply=apply) for n, wave in enumerate(waves) for step in wave]
        runs = _in_batches(runs, rollout) if (rollout := command.rollout) is not None else runs
        steps = [step for wave in waves for step in wave]
        power = {run.id: step.power for run, step in zip(runs, steps, strict=True) if step.power}
        if not command.power_off:
            power = {run: word for run, word in power.items() if word != "off"}
        options: dict[str, Any] = {"command": command.to_dict(), "power": power}
        options["runs"] = [run.id for run in runs if run.outcome is None]
        options["online"] = [member.name for member in members if member.state == "online" or member.was_online]
        self.store.runs.add_command(
            CommandRecord(
                command_id,
                stack_id,
                command.kind,
                command.revision or 0,
                options,
                command.initiated_by or self.user,
                time.time(),
            )
        )
        self.store.runs.add(runs)
        if command.kind == "configure":
            self._supersede(stack_id, command.revision or 0, runs)
        if rollout is not None:
            self.store.rollouts.add(command_id, len({run.batch for run in runs} - {None}))
        return Planned(command_id, command, tuple(steps), {run.instance: run.id for run in runs})


def _setup_first(event: str, member: Member) -> str:
    return "" if member.state == "online" else f"it is {member.state}: {event} can be planned when it has been set up"


def _spared(steps: Sequence[Step], revision: Revision, command: Command, owing: Collection[str]) -> list[Step]:
    """The steps; those of hosts on which they would find nothing to do skip them, a login for each saved."""

    def is_idle(step: Step) -> bool:
        return step.name not in owing and not recipes_of(revision, step.name, command, step.event)

    return [replace(step, skip="no layer of it has configure recipes") if is_idle(step) else step for step in steps]


def _run(command_id: str, step: Step, *, phase: int, apply: bool = True) -> RunRecord:
    """A run to be, or one that has ended as skipped before it began."""
    run = new_run(command_id, step.id, step.name, phase, step.event or "reboot", apply=apply)
    return replace(run, finished=run.created, outcome="skipped", reason=step.skip) if step.skip else run


def _in_batches(runs: Sequence[RunRecord], wanted: Mapping[str, Any]) -> list[RunRecord]:
    """The runs with the batch of each; what is skipped belongs to none."""
    going = sum(run.outcome is None for run in runs)
    numbers = iter(batch_numbers(Rollout.from_dict(wanted).batch, going))
    return [replace(run, batch=next(numbers)) if run.outcome is None else run for run in runs]
