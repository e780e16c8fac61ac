"""The dispatcher: commands in, reports out. Everything between is written to the store before it happens.

    dispatcher = Dispatcher(Store(".cookline"))
    dispatcher.progress.subscribe(lambda instance, event: print(instance, event["kind"]))
    report = dispatcher.dispatch(Command("setup", "shop"))

The CLI makes one per command; the server keeps one, with its engine launched and its connections open. Without a server a
command without batches spares the durable engine: 0.4 of 1.2 s, measured. What it began stands in the store before it begins,
so that a successor's engine takes it up all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from cookline.control.lifecycle import requests
from cookline.control.lifecycle.batches import Batches
from cookline.control.lifecycle.command import Command, Report
from cookline.control.lifecycle.course import Course
from cookline.control.lifecycle.draining import Draining
from cookline.control.lifecycle.hosts import Hosts, OpenProvider
from cookline.control.lifecycle.lock import EngineLock, operator
from cookline.control.lifecycle.planner import Planned, Planner
from cookline.control.lifecycle.progress import Progress
from cookline.control.lifecycle.runner import Converse, Runner
from cookline.control.lifecycle.snapshots import Snapshots
from cookline.control.lifecycle.turns import Turns
from cookline.control.lifecycle.workflows import DirectEngine, Engine
from cookline.control.store.runs import CommandRecord
from cookline.control.store.store import Store
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.lifecycle.collect import Sink
    from cookline.control.lifecycle.engine import DurableEngine
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.transport.base import Connection, Target
    from cookline.control.transport.bundle import Bundle
    from cookline.control.transport.conversation import Conversation
    from cookline.control.transport.pool import Pool


class Dispatcher:
    """One cookline directory's. The lock is taken by the first command that changes something, and not before.

    pool      connections; made when it is first needed
    converse  how a host is spoken to (tests put their own here)
    name      what a second controller is told that this one is doing; "" is the command
    wait      seconds to wait for another controller's lock
    """

    def __init__(
        self,
        store: Store,
        *,
        pool: Pool | None = None,
        open_provider: OpenProvider | None = None,
        converse: Converse | None = None,
        user: str | None = None,
        name: str = "",
        wait: float = 0.0,
    ) -> None:
        self.store, self.user, self.name, self.wait_for_lock = store, user or operator(), name, wait
        self.progress = Progress()
        self.hosts = Hosts(store, open_provider)
        self.revisions = requests.Revisions(store)
        self.turns = Turns(store.runs)
        snapshots = Snapshots(store)
        self.planner = Planner(store, self.hosts, self.revisions, snapshots, self.user)
        converse = converse or self._converse
        self.runner = Runner(store, self.hosts, self.turns, self.progress, self.revisions, snapshots, converse)
        self.batches = Batches(store, self.runner, self.progress, self.revisions, self._connection)
        draining = Draining(store, self.revisions, snapshots, self.progress)
        self.course = Course(
            store, self.hosts, self.planner, self.runner, self.progress, self.revisions, self.batches, draining
        )
        # where metrics go that are collected beside a server; None: this process opens the metric store itself
        self.sink: Sink | None = None
        self._pool = pool
        self._host_code: Bundle | None = None
        self._bundling = threading.Lock()
        self._lock = EngineLock(store.directory)
        self._direct = DirectEngine(self.course)
        self._durable: DurableEngine | None = None
        self._begun: dict[str, Engine] = {}
        self._launching = threading.Lock()

    # -- commands ------------------------------------------------------------------------------------------------------

    def dispatch(self, command: Command) -> Report:
        """Carry out a command; its report. Raises UsageError before anything happens, Locked when another controller works.

        KeyboardInterrupt passes through: `cancel` and `wait` go on from there.
        """
        return self.wait(self.begin(command))

    def begin(self, command: Command) -> str:
        """Start a command; its id. One that only looks has ended when this returns."""
        if command.kind == "plan":
            return self._look(command)
        self.name = self.name or f"cookline {command.kind} {command.stack}"
        self.wait_for_lock = max(self.wait_for_lock, command.lock_wait)
        engine = self._engine_for(command)
        planned = self.planner.plan(command)
        self._announce(planned)
        self._begun[planned.id] = engine
        engine.start(planned.id)
        return planned.id

    def wait(self, command_id: str) -> Report:
        """Until the command has ended; its report."""
        while self.store.runs.command(command_id).finished is None:
            # the signal comes at once; the time-out is for a command that another process ends
            engine = self._begun.get(command_id) or self._durable
            if engine is None or engine.wait(command_id, timeout=1.0):
                break
        if command_id in self.course.stranded:
            raise self.course.stranded[command_id]
        self.tidy()
        return self.report(command_id)

    def tidy(self) -> None:
        """Once an hour, remove what is not kept any longer."""
        if self._lock.held and self.store.retention.tidy_if_due() and self._durable is not None:
            self._durable.forget()

    def cancel(self, identifier: str) -> None:
        """Begin nothing more of a command. For the id of a run: ask its host to stop before its next resource."""
        found = self.store.runs.find(identifier)
        if isinstance(found, CommandRecord):
            self.store.runs.cancel_command(found.id)
            self.batches.wake()
            return
        self.conversation(self.store.instances.get(found.instance_id)).cancel(found.id)

    def pause(self, identifier: str) -> str:
        """Begin no further batch of a rollout until `unpause`; its id. Raises UsageError for what is none that goes on."""
        command_id = self._going_rollout(identifier)
        self.store.rollouts.pause(command_id)
        return command_id

    def unpause(self, identifier: str) -> str:
        """Let a paused rollout go on; its id. When its controller has died, `resume` takes it up."""
        command_id = self._going_rollout(identifier)
        self.store.rollouts.resume(command_id)
        self.batches.wake()
        return command_id

    def abort(self, identifier: str, *, keep: bool = False) -> str:
        """Begin no further batch and take back what was done, unless it is to be kept; the rollout's id."""
        command_id = self._going_rollout(identifier)
        self.store.rollouts.abort(command_id, keep=keep)
        self.batches.wake()
        return command_id

    def _going_rollout(self, identifier: str) -> str:
        found = self.store.runs.find(identifier)
        command_id = found.id if isinstance(found, CommandRecord) else found.command_id
        record = self.store.rollouts.get(command_id)
        if record is None:
            raise UsageError(f"{command_id} has no batches", hint=f"`cookline cancel {command_id}` begins nothing more of it")
        if record.ended is not None:
            raise UsageError(f"the rollout {command_id} has ended: {record.ended}", hint=f"`cookline show {command_id}`")
        return command_id

    def _paused(self, command_id: str) -> bool:
        record = self.store.rollouts.get(command_id)
        return record is not None and record.paused is not None

    def unfinished(self) -> list[CommandRecord]:
        """Commands that an earlier process began and did not end; the next command that changes something ends them first.

        Commands of a controller that is at work right now are among them: ask `lock.holder`.
        """
        return [record for record in self.store.runs.unfinished() if record.kind != "plan"]

    def resume(self) -> list[Report]:
        """Take up what earlier processes left, and wait for its end."""
        waiting = [record.id for record in self.unfinished() if not self._paused(record.id)]
        engine = self.engine()
        for command_id in waiting:
            if self.course.stranded.pop(command_id, None):
                engine.again(command_id)
                self._begun[command_id] = engine
        return [self.wait(command_id) for command_id in waiting]

    def report(self, command_id: str) -> Report:
        """What has come of a command so far."""
        return self.course.report(command_id)

    def _announce(self, planned: Planned) -> None:
        steps = [
            {"instance": step.name, "event": step.event, "run": planned.runs[step.name], "skip": step.skip}
            for step in planned.steps
        ]
        rollout = planned.command.rollout
        self.progress.tell("", "planned", command=planned.id, kind_of=planned.command.kind, steps=steps, rollout=rollout)

    def _look(self, command: Command) -> str:
        planned = self.planner.plan(command)
        self._announce(planned)
        for phase in sorted({run.phase for run in self.store.runs.of_command(planned.id)}):
            self._direct.fan([run.id for run in self.store.runs.of_command(planned.id, phase) if run.outcome is None])
        self.course.close(planned.id)
        return planned.id

    # -- the engine ----------------------------------------------------------------------------------------------------

    def engine(self, *, settle: bool = True) -> DurableEngine:
        """The launched durable engine. The first call takes up what was left unfinished, and with `settle` sees it to its end
        before anything else begins. Raises Locked."""
        with self._launching:
            if self._durable is None:
                self._durable = self._launch(settle)
            return self._durable

    def _engine_for(self, command: Command) -> Engine:
        """The durable engine, unless it would only cost its import (see DirectEngine)."""
        with self._launching:
            if self._durable is None and command.rollout is None:
                self._take_lock()
                if not self._left():
                    return self._direct
        return self.engine()

    def _left(self) -> list[CommandRecord]:
        """What earlier processes left unfinished."""
        return [record for record in self.unfinished() if record.id not in self._begun]

    def _take_lock(self) -> None:
        if not self._lock.held:
            self._lock.take(self.name or "cookline", wait=self.wait_for_lock)
            self.store.runs.forget_claims()

    def _launch(self, settle: bool) -> DurableEngine:
        self._take_lock()
        left = self._left()
        try:
            from cookline.control.lifecycle.engine import DurableEngine

            engine = DurableEngine(self.store.directory, self.course, self.store.runs)
        except BaseException:
            self._lock.release()
            raise
        for record in left:
            self.progress.tell("", "resuming", command=record.id, kind_of=record.kind, created=record.created)
            engine.start(record.id)
        for record in left if settle else ():
            if self._paused(record.id):
                continue  # it goes on when somebody says so
            while not engine.wait(record.id, timeout=1.0) and self.store.runs.command(record.id).finished is None:
                pass
        return engine

    def close(self, *, leaving: bool = False) -> None:
        """Let go of hosts and engine. `leaving`: this process ends now, and with it engine and lock (0.8 s less)."""
        self.batches.wake(leaving=True)
        if not leaving:
            if self._durable is not None:
                self._durable.close()
                self._durable = None
            self._lock.release()
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- speaking to hosts ---------------------------------------------------------------------------------------------

    def pool(self) -> Pool:
        if self._pool is None:
            from cookline.control.transport.pool import Pool

            self._pool = Pool()
        return self._pool

    def conversation(self, instance: Instance) -> Conversation:
        """A way to ask the host something outside of any run."""
        stack = self.store.revisions.name_of(instance.stack_id)
        revision = self.revisions.get(stack, self.store.revisions.newest(stack))
        return self.runner.converse(self.hosts.target(revision, instance), lambda text: None)

    def _connection(self, revision: Revision, instance: Instance) -> Connection:
        return self.pool().connection(self.hosts.target(revision, instance))

    def _converse(self, target: Target, on_link: Callable[[str], None]) -> Conversation:
        from cookline.control.transport.conversation import Conversation

        return Conversation(self.pool(), target, self._bundle(), on_link=on_link)

    def _bundle(self) -> Bundle:
        """The code that hosts run; looked at once, as the code of this process does not change either."""
        from cookline.control.transport.bundle import bundle

        with self._bundling:
            if self._host_code is None:
                self._host_code = bundle()
            return self._host_code
