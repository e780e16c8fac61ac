"""The course of one command, the same on every engine: bring hosts up, run the event everywhere, follow up, close.

Everything in here may be executed again from the top by a successor after a crash: what is decided is read from the store
(written before the workflow began, never changed after) or is the recorded output of a step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

# DESIGN section 12: 300 hosts at once; a thread waits for each host.
HOSTS_AT_ONCE = 300


class Work(Protocol):
    """What the workflows do; every call is idempotent. Ids in, plain data out: both are kept by the engine in clear text."""

    def shape(self, command_id: str) -> dict[str, int]:
        """{"boots": the provider is asked first, "moves": who is online may change, "drains": balancers are told first,
        "batches": how many, 0 for none}."""

    def boot(self, part: str) -> None:
        """Bring up the hosts of a command, or of one batch (`COMMAND/NUMBER`)."""

    def drain(self, part: str) -> list[str]:
        """The configure runs by which balancers let go of a command's, or batch's, instances."""

    def let_drain(self, part: str) -> None:
        """Wait until what they had begun is answered."""

    def let_back(self, part: str) -> list[str]:
        """The configure runs that bring those of a batch back that are well; of a command: all that are left."""

    def planned(self, part: str) -> list[str]:
        """The runs of the first wave of a command, or of one batch."""

    def open_batch(self, batch: str) -> bool:
        """Wait while the rollout is paused; False when no further batch may begin."""

    def judge_batch(self, batch: str) -> bool:
        """After a batch: ask the gates; whether the rollout goes on."""

    def take_back(self, command_id: str) -> list[list[str]]:
        """After the last batch that began: the runs that take back what was touched, wave by wave."""

    def instance_of(self, run_id: str) -> str: ...

    def perform(self, run_id: str) -> str:
        """Carry out one run; its outcome. Never raises for what a host does."""

    def follow(self, command_id: str) -> list[str]:
        """After the first wave: stop hosts, decide who is configured; the runs of the second wave."""

    def close(self, command_id: str) -> int:
        """Settle the command; its exit code."""

    def abandon(self, command_id: str, error: Exception) -> int:
        """Settle a command that cookline itself could not carry out."""


class Engine(Protocol):
    def step(self, name: str, function: Callable[[str], Any], argument: str) -> Any:
        """Call `function(argument)` once; a successor gets the recorded result."""

    def fan(self, runs: Sequence[str]) -> None:
        """Perform the runs, side by side, at most one on each instance; return when all have ended."""

    def start(self, command_id: str) -> None:
        """Begin the command, or take it up when it had begun before."""

    def wait(self, command_id: str, timeout: float | None = None) -> bool:
        """Until the command has ended; False when `timeout` seconds were not enough."""

    def close(self) -> None:
        """Leave; what still runs is left to whoever comes next."""


def coordinate(engine: Engine, work: Work, command_id: str) -> int:
    """One command from beginning to end; its exit code."""
    shape = work.shape(command_id)
    if shape["batches"]:
        _roll_out(engine, work, command_id, shape)
    else:
        _carry_out(engine, work, command_id, shape)
        if shape["drains"]:
            engine.fan(engine.step("let back", work.let_back, command_id))
    if shape["moves"]:
        engine.fan(engine.step("follow", work.follow, command_id))
    code: int = engine.step("close", work.close, command_id)
    return code


def _carry_out(engine: Engine, work: Work, part: str, shape: Mapping[str, int]) -> None:
    if shape["boots"]:
        engine.step("boot", work.boot, part)
    if shape["drains"]:
        engine.fan(engine.step("drain", work.drain, part))
        engine.step("let drain", work.let_drain, part)
    engine.fan(work.planned(part))


def _roll_out(engine: Engine, work: Work, command_id: str, shape: Mapping[str, int]) -> None:
    """Batch after batch, until one is judged not to be well or somebody ends it; then what was touched may be taken back."""
    for number in range(shape["batches"]):
        batch = f"{command_id}/{number}"
        if not engine.step("open batch", work.open_batch, batch):
            break
        _carry_out(engine, work, batch, shape)
        well = engine.step("judge batch", work.judge_batch, batch)
        if shape["drains"]:
            engine.fan(engine.step("let back", work.let_back, batch))
        if not well:
            break
    for wave in engine.step("take back", work.take_back, command_id):
        engine.fan(wave)
    if shape["drains"]:
        engine.fan(engine.step("let back", work.let_back, command_id))


class Signals:
    """Tells waiting threads of this process that something has ended, so that nobody waits for a poll."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._fired: set[str] = set()

    def fire(self, name: str) -> None:
        with self._condition:
            self._fired.add(name)
            self._condition.notify_all()

    def wait(self, name: str, timeout: float | None = None) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: name in self._fired, timeout)

    def forget(self, name: str) -> None:
        with self._condition:
            self._fired.discard(name)


class DirectEngine:
    """Threads and nothing else; what it does is in the store alone.

    That is enough for commands without batches: what each step decides stands in the store before it is carried out, hosts
    execute each run once, and whatever a crash leaves is gone through again by the durable engine. It saves the import of that
    one, half a second. A rollout waits for people and gates between its batches: there each step's result is kept as well.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.signals = Signals()

    def start(self, command_id: str) -> None:
        threading.Thread(target=self._carry_out, args=(command_id,), name="command", daemon=True).start()

    def _carry_out(self, command_id: str) -> None:
        try:
            coordinate(self, self.work, command_id)
        except Exception as error:
            self.work.abandon(command_id, error)
        finally:
            self.signals.fire(command_id)

    def wait(self, command_id: str, timeout: float | None = None) -> bool:
        """Until the command has ended; False when `timeout` seconds were not enough."""
        return self.signals.wait(command_id, timeout)

    def step(self, name: str, function: Callable[[str], Any], argument: str) -> Any:
        return function(argument)

    def fan(self, runs: Sequence[str]) -> None:
        if len(runs) == 1:
            self.work.perform(runs[0])
        elif runs:
            with ThreadPoolExecutor(min(len(runs), HOSTS_AT_ONCE), thread_name_prefix="run") as threads:
                list(threads.map(self.work.perform, runs))

    def close(self) -> None:
        """Nothing is held; commands that go on end by themselves."""
