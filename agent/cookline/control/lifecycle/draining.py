"""Draining: who is about to stop, or to be worked on, first vanishes from the balancers (features O22 and O24).

A layer that says `drain:` has its leaving instances marked; a marked instance is not online in the snapshot, so the configure
of the others (or of the layers that it names) takes it out of what they send requests to. Then its `wait` passes, and only then
its own recipes run. In a rollout those that are well are let back in by another configure.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.rollout import Rollout
from cookline.control.lifecycle.turns import supersede
from cookline.control.store.runs import ASKED, DRAINING, RETURNING, RunRecord, new_run
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.lifecycle.progress import Progress
    from cookline.control.lifecycle.requests import Revisions
    from cookline.control.lifecycle.snapshots import Snapshots
    from cookline.control.stack.models import Drain
    from cookline.control.stack.revision import Revision
    from cookline.control.store.store import Store

# Commands after which an instance is not there any more.
LEAVING = frozenset({"stop", "shutdown"})


class Draining:
    def __init__(self, store: Store, revisions: Revisions, snapshots: Snapshots, progress: Progress) -> None:
        self.store, self.revisions, self.snapshots, self.progress = store, revisions, snapshots, progress
        self._pause = threading.Event()

    def wanted(self, command_id: str) -> bool:
        """Whether some of the command's runs are on instances that are drained before."""
        record = self.store.runs.command(command_id)
        command = Command.from_dict(record.options["command"])
        in_batches = command.rollout is not None and Rollout.from_dict(command.rollout).drain
        if command.kind == "plan" or not (command.kind in LEAVING or in_batches):
            return False
        revision = self.revisions.get(command.stack, record.revision)
        return any(rules_of(revision, run.instance) for run in self.store.runs.of_command(command_id, ASKED))

    def drain(self, part: str) -> list[str]:
        """Mark the instances of a command, or of a batch, and plan the configure that lets go of them: its runs."""
        command_id, batch = _parted(part)
        with self.store.database.transaction():
            known = self._of(command_id, batch, DRAINING)
            revision = self._revision(command_id)
            leaving = [run for run in self._asked(command_id, batch) if rules_of(revision, run.instance)]
            if known or not leaving:
                return [run.id for run in known]
            for run in leaving:
                if self.store.instances.get(run.instance_id).state == "online":
                    self.store.instances.record(run.instance_id, draining=command_id)
            return self._configure(command_id, batch, DRAINING, {run.instance for run in leaving})

    def let_drain(self, part: str) -> None:
        """Give those that are left out the time to answer what they had begun."""
        command_id, batch = _parted(part)
        revision = self._revision(command_id)
        names = [run.instance for run in self._asked(command_id, batch) if self._is_marked(run, command_id)]
        seconds = max((rule.wait for name in names for rule in rules_of(revision, name)), default=0.0)
        if seconds:
            for name in names:
                self.progress.tell(name, "progress", text=f"drains for {seconds:.0f} s", command=command_id)
            self._pause.wait(seconds)

    def let_back(self, part: str) -> list[str]:
        """Unmark the instances of a batch that are well (of a command: all), and plan the configure that brings them back."""
        command_id, batch = _parted(part)
        with self.store.database.transaction():
            known = self._of(command_id, batch, RETURNING)
            if known:
                return [run.id for run in known]
            missed = {name for each in self.store.rollouts.batches(command_id) for name, text in each.gates.items() if text}
            back = [run for run in self._asked(command_id, batch) if self._is_marked(run, command_id)]
            if batch is not None:
                back = [run for run in back if run.outcome == "successful" and run.instance not in missed]
            for run in back:
                self.store.instances.record(run.instance_id, draining=None)
            here = {run.instance for run in back if self.store.instances.get(run.instance_id).state == "online"}
            return self._configure(command_id, batch, RETURNING, here) if here else []

    def told(self, command_id: str) -> set[str]:
        """Who needs no configure after the others have left, as the one before it has told them of all who did."""
        record = self.store.runs.command(command_id)
        revision = self._revision(command_id)
        if record.kind not in LEAVING or not all(rules_of(revision, run.instance) for run in self._asked(command_id, None)):
            return set()
        runs = self.store.runs.of_command(command_id, DRAINING)
        return {run.instance for run in runs if run.outcome == "successful"}

    def forget(self, command_id: str) -> None:
        """Leave no mark behind, whatever became of the command."""
        for run in self._asked(command_id, None):
            if self._is_marked(run, command_id):
                self.store.instances.record(run.instance_id, draining=None)

    def _configure(self, command_id: str, batch: int | None, phase: int, about: set[str]) -> list[str]:
        record = self.store.runs.command(command_id)
        revision = self._revision(command_id)
        layers = {layer for name in about for rule in rules_of(revision, name) for layer in rule.layers}
        everybody = any(not rule.layers for name in about for rule in rules_of(revision, name))
        planned = []
        for instance in self.store.instances.of(record.stack_id):
            meant = everybody or layers & set(instance.layers)
            if (
                meant
                and (phase == RETURNING or instance.name not in about)
                and instance.state == "online"
                and not instance.draining
            ):
                run = new_run(command_id, instance.id, instance.name, phase, "configure")
                planned.append(replace(run, batch=batch))
        self.store.runs.add(planned)
        number = self.snapshots.take(record.stack_id, record.revision)
        for run in planned:
            supersede(self.store.runs, run.instance_id, run.id, number)
        return [run.id for run in planned]

    def _revision(self, command_id: str) -> Revision:
        record = self.store.runs.command(command_id)
        return self.revisions.get(record.options["command"]["stack"], record.revision)

    def _asked(self, command_id: str, batch: int | None) -> list[RunRecord]:
        runs = self.store.runs.of_command(command_id, ASKED)
        return [run for run in runs if (batch is None or run.batch == batch) and run.outcome != "skipped"]

    def _of(self, command_id: str, batch: int | None, phase: int) -> list[RunRecord]:
        return [run for run in self.store.runs.of_command(command_id, phase) if run.batch == batch]

    def _is_marked(self, run: RunRecord, command_id: str) -> bool:
        return self.store.instances.get(run.instance_id).draining == command_id


def rules_of(revision: Revision, instance: str) -> list[Drain]:
    """What the instance's layers say about draining; nothing for most."""
    definition = revision.stack.instances.get(instance)
    layers: Iterable[str] = definition.layers if definition is not None else ()
    return [rule for layer in layers if (rule := revision.stack.layers[layer].drain) is not None]


def check(revision: Revision, rollout: Mapping[str, object]) -> None:
    """Raises UsageError for `--drain` where no layer says how."""
    if rollout.get("drain") and not any(layer.drain is not None for layer in revision.stack.layers.values()):
        raise UsageError(
            f"no layer of {revision.stack.name} says how it is drained",
            hint="give the layer `drain: {layers: [balancer], wait: 2s}` and push",
        )


def _parted(part: str) -> tuple[str, int | None]:
    command_id, _, number = part.partition("/")
    return command_id, int(number) if number else None
