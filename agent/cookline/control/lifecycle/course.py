"""The work of the workflows (workflows.Work): what is done in each step of a command. Every call may be repeated."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from cookline.control.lifecycle import account, plan
from cookline.control.lifecycle.command import Command, Report, exit_code_of
from cookline.control.lifecycle.states import move, refusal
from cookline.errors import EXIT_FAILED, EXIT_OK, DiskFull

if TYPE_CHECKING:
    from cookline.control.lifecycle.batches import Batches
    from cookline.control.lifecycle.draining import Draining
    from cookline.control.lifecycle.hosts import Hosts
    from cookline.control.lifecycle.planner import Planner
    from cookline.control.lifecycle.progress import Progress
    from cookline.control.lifecycle.requests import Revisions
    from cookline.control.lifecycle.runner import Runner
    from cookline.control.store.runs import RunRecord
    from cookline.control.store.store import Store

BOOTING = ("requested", "pending", "booting")
# what is asked of the provider before the first wave
RISING = frozenset({"on", "restart"})


class Course:
    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        planner: Planner,
        runner: Runner,
        progress: Progress,
        revisions: Revisions,
        batches: Batches,
        draining: Draining,
    ) -> None:
        self.store, self.hosts, self.planner, self.runner = store, hosts, planner, runner
        self.progress, self.revisions, self.batches, self.draining = progress, revisions, batches, draining
        # commands that could not be written to their end
        self.stranded: dict[str, DiskFull] = {}

    def shape(self, command_id: str) -> dict[str, int]:
        record = self.store.runs.command(command_id)
        boots, moves = bool(RISING & set(record.options["power"].values())), record.kind in plan.FOLLOWED
        drains = self.draining.wanted(command_id)
        return {"boots": boots, "moves": moves, "drains": drains, "batches": len(self.store.rollouts.batches(command_id))}

    def planned(self, part: str) -> list[str]:
        if "/" in part:
            return [run.id for run in self.batches.runs(part)]
        runs: list[str] = self.store.runs.command(part).options["runs"]
        return runs

    def drain(self, part: str) -> list[str]:
        return self.draining.drain(part)

    def let_drain(self, part: str) -> None:
        self.draining.let_drain(part)

    def let_back(self, part: str) -> list[str]:
        return self.draining.let_back(part)

    def open_batch(self, batch: str) -> bool:
        return self.batches.open(batch)

    def judge_batch(self, batch: str) -> bool:
        return self.batches.judge(batch)

    def take_back(self, command_id: str) -> list[list[str]]:
        return self.batches.take_back(command_id)

    def instance_of(self, run_id: str) -> str:
        return self.store.runs.run(run_id).instance_id

    def perform(self, run_id: str) -> str:
        return self.runner.perform(run_id)

    def boot(self, part: str) -> None:
        """Bring up every host of the command, or batch, that is not up; one that cannot be brought up has failed."""
        command_id, _, number = part.partition("/")
        record = self.store.runs.command(command_id)
        up: list[str] = record.options.get("up", [])
        if record.cancelled is not None or part in up:
            return
        revision = self.revisions.get(Command.from_dict(record.options["command"]).stack, record.revision)
        power = record.options["power"]
        waiting = [run for run in self.store.runs.of_command(command_id, 0) if run.outcome is None]
        runs = [run for run in waiting if power.get(run.id) in RISING and (not number or run.batch == int(number))]
        runs = [run for run in runs if self._on_its_way(run)]
        instances = {run.id: self.store.instances.get(run.instance_id) for run in runs}
        say = functools.partial(self.progress.tell, "", "progress", command=command_id)
        stuck = [instance for run, instance in instances.items() if power[run] == "restart"]
        errors = self.hosts.power_off(stuck, lambda text: say(text=text))
        rising = [instance for instance in instances.values() if instance.name not in errors]
        errors |= self.hosts.power_on(revision, rising, lambda text: say(text=text))
        for run in runs:
            if run.instance in errors:
                self.runner.fail(run.id, errors[run.instance])
        self.store.runs.note(command_id, up=[*up, part])

    def follow(self, command_id: str) -> list[str]:
        return self.planner.follow(command_id, self.draining.told(command_id))

    def close(self, command_id: str) -> int:
        """Settle the command in the store; its exit code."""
        record = self.store.runs.command(command_id)
        if record.exit_code is not None:
            return record.exit_code
        report = self.report(command_id)
        code = exit_code_of(report.results, cancelled=report.cancelled, plan=record.kind == "plan")
        code = code or account.exit_code_of_rollout(report.rollout)
        self.draining.forget(command_id)
        self.store.runs.finish_command(command_id, "successful" if code == EXIT_OK else "failed", code)
        self.progress.tell("", "finished", command=command_id, exit_code=code)
        return code

    def abandon(self, command_id: str, error: Exception) -> int:
        """End what has not ended as failed, for a defect of ours; the exit code. A full disk here leaves it to `resume`."""
        if isinstance(error, DiskFull):
            self.stranded[command_id] = error
            return EXIT_FAILED
        for run in self.store.runs.of_command(command_id):
            if run.outcome is None:
                self.runner.fail(run.id, error)
        self.store.rollouts.end(command_id, "stopped", str(error))
        return self.close(command_id)

    def report(self, command_id: str) -> Report:
        """What has come of a command so far; a run that has not ended yet counts as skipped."""
        record = self.store.runs.command(command_id)
        command = Command.from_dict(record.options["command"])
        results, rollout = account.of_command(self.store, command_id)
        return Report(
            command=command_id,
            kind=record.kind,
            stack=command.stack,
            revision=record.revision,
            results=results,
            exit_code=record.exit_code if record.exit_code is not None else exit_code_of(results),
            seconds=round((record.finished or time.time()) - record.created, 3),
            cancelled=record.cancelled is not None,
            rollout=rollout,
        )

    def _on_its_way(self, run: RunRecord) -> bool:
        """Move the instance to `booting`, over the states before; False (and the run skipped) when another command has it."""
        for state in BOOTING:
            with self.store.database.transaction():
                current = self.store.instances.get(run.instance_id).state
                ahead = BOOTING[BOOTING.index(current) + 1 :] if current in BOOTING else BOOTING
                if state not in ahead:
                    continue
                reason = refusal(run.instance, current, state)
                if reason is None:
                    move(self.store, run.instance_id, state)
            if reason:
                self.runner.skip(run.id, reason)
                return False
            self.progress.tell(run.instance, "state", state=state, before=current, command=run.command_id)
        return True
