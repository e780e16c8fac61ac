"""The work of a rollout, batch by batch (workflows.Work): open, judge by failures and gates, take back.

Every call may be repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from cookline.control.lifecycle.alarms import Alarms
from cookline.control.lifecycle.before import Before
from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.rollout import REVERSIBLE, Rollout
from cookline.control.store.identifiers import new_identifier
from cookline.control.store.runs import ASKED, TAKING_BACK, CommandRecord, RunRecord, new_run
from cookline.errors import CooklineError

if TYPE_CHECKING:
    from cookline.control.lifecycle import gates
    from cookline.control.lifecycle.progress import Progress
    from cookline.control.lifecycle.requests import Revisions
    from cookline.control.lifecycle.runner import Runner
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store
    from cookline.control.transport.base import Connection

Connect = Callable[["Revision", "Instance"], "Connection"]

GO_ON, STOP = "go on", "stop"
# Outcomes after which an instance may not serve.
FAILURES = frozenset({"failed", "unreachable", "expired"})
# How soon a pause that another process ends is seen; in this process it is seen at once.
GLANCE_SECONDS = 0.5
GATES_AT_ONCE = 50


class Leaving(BaseException):
    """This process ends while a rollout is paused. Not an Exception: the step has no result, a successor waits on."""


def batch_name(command_id: str, number: int) -> str:
    return f"{command_id}/{number}"


def parted(batch: str) -> tuple[str, int]:
    command_id, _, number = batch.partition("/")
    return command_id, int(number)


class Batches:
    def __init__(self, store: Store, runner: Runner, progress: Progress, revisions: Revisions, connect: Connect) -> None:
        self.store, self.runner, self.progress, self.revisions = store, runner, progress, revisions
        self._connect = connect
        self._before = Before(store, revisions)
        self._said = threading.Condition()
        self._asked: tuple[Revision, Alarms] | None = None
        self._leaving = False

    def wake(self, *, leaving: bool = False) -> None:
        """Somebody said something (pause, resume, abort), or this process ends."""
        with self._said:
            self._leaving = self._leaving or leaving
            self._said.notify_all()

    def runs(self, batch: str) -> list[RunRecord]:
        command_id, number = parted(batch)
        return [run for run in self.store.runs.of_command(command_id, ASKED) if run.batch == number]

    # -- before a batch ------------------------------------------------------------------------------------------------

    def open(self, batch: str) -> bool:
        """Wait while the rollout is paused; False when no further batch may begin."""
        command_id, number = parted(batch)
        told = False
        while self._why_end(command_id) is None:
            record = self.store.rollouts.get(command_id)
            if record is None or record.paused is None:
                self._tell_begin(batch, told)
                return True
            if not told:
                self._tell(command_id, "paused", number=number)
                told = True
            with self._said:
                if self._leaving:
                    raise Leaving
                self._said.wait(GLANCE_SECONDS)
        return False

    def _tell_begin(self, batch: str, was_paused: bool) -> None:
        command_id, number = parted(batch)
        self.store.rollouts.begin_batch(command_id, number)
        if was_paused:
            self._tell(command_id, "resumed", number=number)
        of = len(self.store.rollouts.batches(command_id))
        going = [run for run in self.store.runs.of_command(command_id, ASKED) if run.batch is not None]
        names = [run.instance for run in going if run.batch == number]
        before = sum((run.batch or 0) < number for run in going)
        self._tell(command_id, "batch", number=number, of=of, instances=names, before=before, all=len(going))

    def _why_end(self, command_id: str) -> str | None:
        """An operator's word that ends the rollout."""
        record = self.store.rollouts.get(command_id)
        if record is not None and record.aborted is not None:
            return "the rollout was aborted"
        if self.store.runs.command(command_id).cancelled is not None:
            return "the command was cancelled"
        return None

    # -- after a batch -------------------------------------------------------------------------------------------------

    def judge(self, batch: str) -> bool:
        """Count failures, ask the gates; whether the rollout goes on."""
        command_id, number = parted(batch)
        record = self.store.runs.command(command_id)
        rollout = _rollout(record)
        said: dict[str, str | None] = {}
        whole = ""
        if self._failures(command_id, {}) <= rollout.allowed(self._count(command_id)):
            said, whole = self._ask(batch, rollout)
        reason = self._why_end(command_id) or whole or self._too_many(command_id, rollout, said)
        verdict = STOP if reason else GO_ON
        self.store.rollouts.end_batch(command_id, number, verdict, reason, said)
        self._tell(command_id, "batch_ended", number=number, verdict=verdict, reason=reason)
        return verdict == GO_ON

    def _count(self, command_id: str) -> int:
        return sum(run.batch is not None for run in self.store.runs.of_command(command_id, ASKED))

    def _failures(self, command_id: str, said: dict[str, str | None]) -> int:
        missed = {name for name, text in said.items() if text}
        for batch in self.store.rollouts.batches(command_id):
            missed |= {name for name, text in batch.gates.items() if text}
        failed = {run.instance for run in self.store.runs.of_command(command_id, ASKED) if run.outcome in FAILURES}
        return len(missed | failed)

    def _too_many(self, command_id: str, rollout: Rollout, said: dict[str, str | None]) -> str:
        count = self._count(command_id)
        failures, allowed = self._failures(command_id, said), rollout.allowed(count)
        if failures <= allowed:
            return ""
        return f"{failures} of {count} failed, tolerated {'are' if allowed != 1 else 'is'} {allowed}"

    def _ask(self, batch: str, rollout: Rollout) -> tuple[dict[str, str | None], str]:
        """What the gates said of each instance that is well so far, and of the batch as a whole."""
        from cookline.control.lifecycle import gates

        said: dict[str, str | None] = {}
        well = [run for run in self.runs(batch) if run.outcome == "successful"]
        if rollout.gates and well:
            self._let_serve(well, rollout.gate_after)
        for text in rollout.gates if well else ():
            gate = gates.Gate.parse(text)
            asked = [run for run in well if not said.get(run.instance)]
            if not gate.each:
                answer = self._pass(batch, gate, asked[0] if asked else well[0], rollout, whole=True)
                if answer is not None:
                    return said, f"the gate was not passed: {answer}"
            elif asked:
                with ThreadPoolExecutor(min(GATES_AT_ONCE, len(asked)), thread_name_prefix="gate") as threads:
                    answers = list(threads.map(lambda run, gate=gate: self._pass(batch, gate, run, rollout), asked))
                said |= {run.instance: answer for run, answer in zip(asked, answers, strict=True)}
        return said, ""

    def _let_serve(self, runs: list[RunRecord], seconds: float) -> None:
        """Let a batch do its work for so long, unless somebody ends the rollout."""
        command_id, deadline = runs[0].command_id, time.monotonic() + seconds
        for run in runs if seconds else ():
            self._tell(command_id, "progress", run.instance, text=f"serves for {seconds:g} s before its gates are asked")
        with self._said:
            while (left := deadline - time.monotonic()) > 0 and self._why_end(command_id) is None:
                if self._leaving:
                    raise Leaving
                self._said.wait(min(left, GLANCE_SECONDS))

    def _pass(self, batch: str, gate: gates.Gate, run: RunRecord, rollout: Rollout, *, whole: bool = False) -> str | None:
        from cookline.control.lifecycle import gates

        command_id, number = parted(batch)
        record = self.store.runs.command(command_id)
        revision = self.revisions.get(_command(record).stack, record.revision)
        instance = self.store.instances.get(run.instance_id)
        address = str(revision.stack.instances[run.instance].address or instance.address or "localhost")
        values = {"name": run.instance, "address": address, "private_address": instance.address or address}
        about = "" if whole else run.instance
        self._tell(command_id, "gate", about, number=number, gate=gate.text, said=None, passed=None)
        try:
            said = gates.passes(
                gate,
                values,
                gates.Reach(lambda _name: self._connect(revision, instance), self._alarms(revision).state),
                rollout.gate_within,
                lambda: self._why_end(command_id) is not None,
            )
        except (CooklineError, OSError) as error:
            said = str(error)
        self._tell(command_id, "gate", about, number=number, gate=gate.text, said=said, passed=said is None)
        return said

    def _alarms(self, revision: Revision) -> Alarms:
        """One client for as long as gates ask about the same revision."""
        with self._said:
            if self._asked is None or self._asked[0] is not revision:
                self._asked = (revision, Alarms(self.store.directory, revision))
            return self._asked[1]

    # -- the end -------------------------------------------------------------------------------------------------------

    def take_back(self, command_id: str) -> list[list[str]]:
        """Skip what never began; when the rollout stopped, the runs that take back what was touched, the last batch first."""
        why = self._why_stopped(command_id)
        for run in self.store.runs.of_command(command_id, ASKED):
            if run.outcome is None:
                self.runner.skip(run.id, f"never begun: {why}")
        with self.store.database.transaction():
            ended = self.store.rollouts.get(command_id)
            if ended is not None and ended.ended is None:
                back = self._back(command_id) if why else []
                self.store.runs.add(back)
                word = "taken back" if any(run.outcome is None for run in back) else "stopped" if why else "completed"
                self.store.rollouts.end(command_id, word, why)
                if back:
                    self._tell(command_id, "taking_back", reason=why, instances=[run.instance for run in back])
        return self._waves(command_id)

    def _why_stopped(self, command_id: str) -> str:
        ended = next((batch for batch in self.store.rollouts.batches(command_id) if batch.verdict == STOP), None)
        if ended is not None:
            return ended.reason or STOP
        # every batch was judged: a word that came later than the last one changes nothing
        all_judged = all(batch.verdict for batch in self.store.rollouts.batches(command_id))
        return "" if all_judged else self._why_end(command_id) or ""

    def _back(self, command_id: str) -> list[RunRecord]:
        record = self.store.runs.command(command_id)
        rollout = self.store.rollouts.get(command_id)
        aborted = rollout is not None and rollout.aborted is not None
        wanted = not rollout.keep if rollout is not None and aborted else _rollout(record).auto_rollback
        if record.kind not in REVERSIBLE or not wanted or (record.cancelled is not None and not aborted):
            return []
        touched = [run for run in self.store.runs.of_command(command_id, ASKED) if run.started is not None]
        return [back for run in reversed(touched) for back in self._back_of(run, _command(record))]

    def _back_of(self, run: RunRecord, command: Command) -> list[RunRecord]:
        fresh = replace(new_run(run.command_id, run.instance_id, run.instance, TAKING_BACK, run.event), batch=run.batch)
        earlier = self._before.of(run, command)
        if not earlier:
            reason = f"no {run.event} of {run.instance} that was well is known to go back to"
            return [replace(fresh, finished=fresh.created, outcome="skipped", reason=reason)]
        return [replace(fresh, id=new_identifier(), back_to=each) for each in earlier]

    def _waves(self, command_id: str) -> list[list[str]]:
        runs = self.store.runs.of_command(command_id, TAKING_BACK)
        numbers = sorted({run.batch or 0 for run in runs}, reverse=True)
        return [[run.id for run in runs if run.batch == number and run.back_to is not None] for number in numbers]

    def _tell(self, command_id: str, kind: str, instance: str = "", **values: object) -> None:
        self.progress.tell(instance, kind, command=command_id, **values)


def _command(record: CommandRecord) -> Command:
    return Command.from_dict(record.options["command"])


def _rollout(record: CommandRecord) -> Rollout:
    return Rollout.from_dict(_command(record).rollout or {})
