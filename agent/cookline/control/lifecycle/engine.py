"""The durable engine: the only module that knows dbos. Importing it costs half a second, so it is imported late.

SQLite in `.cookline/engine.db`, one process at a time (engine.lock). What a process that died had begun is taken up again as
soon as the next one launches. A run whose instance is free is started at once; the queue `instances`, one run per instance,
holds only what must wait. Nobody waits for a poll of the queue or of a result but a successor after a crash.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID, WorkflowHandle, WorkflowStatus

from cookline.control.lifecycle.workflows import HOSTS_AT_ONCE, Signals, Work, coordinate
from cookline.control.store.runs import Runs
from cookline.errors import CooklineError

# Pinned: rows of another version are never taken up. Workflows are changed with DBOS.patch, not by a new number.
APPLICATION_VERSION = "cookline-1"
QUEUE = "instances"
# What a dead controller had begun outside of the queue is begun again through this one.
TAKEN_OVER = "taken_over"
# Only what waits for a whole run waits for this. Idle, the two queues cost 3.7 % of a core at 0.2 s, 2.0 % at this.
POLL_SECONDS = 0.5
KEPT_DAYS = 1
# Deleting this many takes some 0.1 s of a launch; what is left goes within the hour.
FORGOTTEN_AT_ONCE, ROUNDS_AN_HOUR = 500, 40

_current: DurableEngine | None = None


class DurableEngine:
    """Launched by the constructor, under the directory's lock; `close` ends it. One per process, as dbos is a singleton.

    Raises CooklineError when the file holds rows that are not ours.
    """

    def __init__(self, directory: Path, work: Work, runs: Runs) -> None:
        global _current
        self.work = work
        self.signals = Signals()
        self._runs = runs
        # runs that the queue got from an earlier process, and will begin by itself
        self._queued: frozenset[str] = frozenset()
        _current = self
        self._launch(directory / "engine.db")

    def _launch(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        _prepare(path)
        _quieten()
        config = DBOSConfig(
            name="cookline",
            system_database_url=f"sqlite:///{path}",
            system_database_engine=_database(path),
            executor_id=f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}",
            application_version=APPLICATION_VERSION,
            serializer=DBOSPortableJSONSerializer(),
            log_level="ERROR",
            # nothing listens here; it is how long closing waits for that thread
            notification_listener_polling_interval_sec=0.05,
        )
        DBOS(config=config)
        DBOS.launch()
        if DBOS.retrieve_queue(TAKEN_OVER) is None:  # a queue that is known at launch is served at once, a new one after 1 s
            DBOS.register_queue(
                QUEUE, partition_concurrency=1, worker_concurrency=HOSTS_AT_ONCE, polling_interval_sec=POLL_SECONDS
            )
            DBOS.register_queue(TAKEN_OVER, worker_concurrency=2 * HOSTS_AT_ONCE, polling_interval_sec=POLL_SECONDS)
        for record in self._runs.unfinished():
            self._renew(record.id)
        begun = DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False)
        self._queued = frozenset(workflow.workflow_id for workflow in begun if workflow.queue_name == QUEUE)
        _take_over(begun)
        self.forget(rounds=1)

    def start(self, command_id: str) -> None:
        """Begin the command, or take it up when it had begun before (the workflow's id is the command's)."""
        with SetWorkflowID(command_id):
            DBOS.start_workflow(_command, command_id)

    def again(self, command_id: str) -> None:
        """Begin anew what this process could not write to its end."""
        for workflow in [command_id, *(run.id for run in self._runs.of_command(command_id) if run.finished is None)]:
            with contextlib.suppress(Exception):  # its error was told when it came
                DBOS.retrieve_workflow(workflow).get_result(polling_interval_sec=0.02)
        self._renew(command_id)
        self.start(command_id)

    def _renew(self, command_id: str) -> None:
        """Forget workflows that ended while the store, on a full disk, could not be told: they are gone through anew."""
        open_runs = [run.id for run in self._runs.of_command(command_id) if run.finished is None]
        ended = DBOS.list_workflows(
            workflow_ids=[command_id, *open_runs], status=["SUCCESS", "ERROR"], load_input=False, load_output=False
        )
        if ended:
            DBOS.delete_workflows([workflow.workflow_id for workflow in ended])
            self.signals.forget(command_id)

    def wait(self, command_id: str, timeout: float | None = None) -> bool:
        """Until the command has ended; False when `timeout` seconds were not enough."""
        return self.signals.wait(command_id, timeout)

    def step(self, name: str, function: Callable[[str], Any], argument: str) -> Any:
        return DBOS.run_step({"name": name}, function, argument)

    def fan(self, runs: Sequence[str]) -> None:
        handles = [self._begin(run_id) for run_id in runs]
        for run_id, handle in zip(runs, handles, strict=True):
            # a run that a successor took over may have ended before this process began
            while not self.signals.wait(run_id, timeout=1.0) and self._runs.run(run_id).finished is None:
                pass
            handle.get_result(polling_interval_sec=0.02)
            self.signals.forget(run_id)

    def _begin(self, run_id: str) -> WorkflowHandle[str]:
        instance = self.work.instance_of(run_id)
        # the claim is for what begins now: what waits for its turn in the queue behind another run would keep that one waiting
        if run_id not in self._queued and self._runs.claim(instance, run_id):
            with SetWorkflowID(run_id):
                return DBOS.start_workflow(_instance_run, run_id)
        with SetWorkflowID(run_id), SetEnqueueOptions(queue_partition_key=instance):
            return DBOS.enqueue_workflow(QUEUE, _instance_run, run_id)

    def forget(self, rounds: int = ROUNDS_AN_HOUR) -> None:
        """Drop what has ended long ago: the history is in the store, this file is for what goes on."""
        before = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
        for _ in range(rounds):
            ended = DBOS.list_workflows(completed_before=before, limit=FORGOTTEN_AT_ONCE, load_input=False, load_output=False)
            if ended:
                DBOS.delete_workflows([workflow.workflow_id for workflow in ended])
            if len(ended) < FORGOTTEN_AT_ONCE:
                return

    def close(self) -> None:
        """Leave; what still runs is left to whoever launches next."""
        global _current
        DBOS.destroy(workflow_completion_timeout_sec=0)
        _current = None


@DBOS.workflow(name="command")
def _command(command_id: str) -> int:
    assert _current is not None
    engine = _current
    try:
        return coordinate(engine, engine.work, command_id)
    except Exception as error:
        # a defect of ours, or a disk that is full: whoever waits is told; a successor that can does the rest
        return engine.work.abandon(command_id, error)
    finally:
        engine.signals.fire(command_id)


@DBOS.workflow(name="instance_run")
def _instance_run(run_id: str) -> str:
    assert _current is not None
    engine = _current
    try:
        outcome: str = engine.step("perform", engine.work.perform, run_id)
        return outcome
    finally:
        engine.signals.fire(run_id)


def _take_over(begun: Iterable[WorkflowStatus]) -> None:
    """Begin again what others have begun: whoever has the lock knows that they are dead.

    dbos itself takes up only what bears its own executor's name, after a second or more.
    """
    left: dict[str, list[str]] = {}
    for workflow in begun:
        if workflow.status == "PENDING" and workflow.executor_id != DBOS.executor_id:
            left.setdefault(workflow.queue_name or TAKEN_OVER, []).append(workflow.workflow_id)
    for queue, workflows in left.items():
        DBOS.resume_workflows(workflows, queue_name=queue)


def _prepare(path: Path) -> None:
    """Write-ahead log (dbos leaves the slow default), and no row that would be unpickled: whoever can write one owns us."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=wal")
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            columns = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
            if "serialization" not in columns:
                continue
            if connection.execute(f"SELECT 1 FROM \"{table}\" WHERE serialization = 'py_pickle' LIMIT 1").fetchone():
                raise CooklineError(
                    f"{path} holds pickled rows, which cookline never writes: somebody else did",
                    hint=f"look at who could write it; `rm {path}` gives up unfinished commands and nothing else",
                )
    except sqlite3.DatabaseError as error:
        raise CooklineError(
            f"{path} is damaged: {error}", hint=f"`rm {path}` gives up unfinished commands and nothing else"
        ) from None
    finally:
        connection.close()


def _database(path: Path) -> sqlalchemy.Engine:
    """As dbos makes it (write transactions begin at once, foreign keys), and synchronous=normal: a commit costs no disk sync.

    A power cut of the controller may lose the last moments; the hosts' journals know what was begun.
    """
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class _OursOnly(logging.Filter):
    """No advertisements and no tracebacks; what is wrong with a run stands in its report."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        return record.levelno >= logging.ERROR and "console.dbos.dev" not in record.getMessage()


def _quieten() -> None:
    log = logging.getLogger("dbos")
    if not any(isinstance(each, _OursOnly) for each in log.filters):
        log.addFilter(_OursOnly())
