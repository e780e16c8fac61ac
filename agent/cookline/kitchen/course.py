"""One case on its way through the phases: converge, setup, verify."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cookline.control.sources.fetch import Fetcher, once
from cookline.control.stack.revision import frozen
from cookline.control.transport.bundle import bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.errors import CooklineError, HostKeyError, Interrupted
from cookline.kitchen import verify as testinfra
from cookline.kitchen.cases import Case
from cookline.kitchen.converging import Converger
from cookline.kitchen.hooks import run_hooks
from cookline.kitchen.hosts import Hosts
from cookline.kitchen.record import Record
from cookline.kitchen.result import Checked, PhaseFailed, Result
from cookline.kitchen.stack_hosts import without_values
from cookline.kitchen.working_tree import mock_snapshot, request_of
from cookline.protocol import RunRequest

OnEvent = Callable[[str, Mapping[str, Any]], None]

# How long a host may take to say that it has stopped a run; one that is cut off never says so.
CANCEL_SECONDS = 5.0


class Course:
    """The phases of any case. `directory` is the project's .cookline; `on_event` gets (host, event)."""

    def __init__(self, directory: Path, hosts: Hosts, on_event: OnEvent, *, again: bool = True) -> None:
        self.directory, self.hosts, self.on_event, self.again = directory, hosts, on_event, again
        self.records = hosts.records
        self.fetch = once(Fetcher(directory))
        self.pool = Pool()
        self._bundle = bundle()
        self._runs: dict[str, tuple[Conversation, str]] = {}
        self._tests = testinfra.Running()
        self._stopped = threading.Event()

    def close(self) -> None:
        self.pool.close()

    def go(self, phase: str, case: Case, result: Result) -> str:
        """One phase, with the hooks around it; returns the state that it has led to. Raises CooklineError."""
        work = {"converge": self._converge, "setup": self._setup, "verify": self._verify}
        self._hooks(f"pre_{phase}", case)
        state = work[phase](case, result) if phase in work else "created"
        self._hooks(f"post_{phase}", case)
        return state

    def _hooks(self, moment: str, case: Case) -> None:
        def say(text: str) -> None:
            self.on_event(case.name, {"kind": "said", "text": text})

        address = str(self.records.get(case.name).host.get("address"))
        run_hooks(moment, case, ["ssh", "-F", str(self.hosts.ssh_config), case.name], address, say)

    def interrupt(self) -> list[str]:
        """Stop what runs now, on the hosts too; returns the names of those hosts that a run was stopped on."""
        self._stopped.set()
        self._tests.end()
        runs = dict(self._runs)

        def cancel(conversation: Conversation, run: str) -> None:
            try:
                conversation.cancel(run)
            except CooklineError:
                self.pool.drop(conversation.target)  # it is away: its run ends with the lock's holder

        threads = [threading.Thread(target=cancel, args=each, daemon=True) for each in runs.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(CANCEL_SECONDS)
        return list(runs)

    def _converge(self, case: Case, result: Result) -> str:
        revision = frozen(case.file.definition(case.suite, case.platform, case.name), self.fetch)
        mock = case.file.snapshot(case.suite)
        address = str(self.records.get(case.name).host.get("address"))
        target = self.hosts.target(case.name)
        conversation = Conversation(self.pool, target, self._bundle)

        def request(event: str, recipes: Sequence[str], apply: bool) -> RunRequest:
            if self._stopped.is_set():
                raise Interrupted("interrupted")
            snapshot = mock_snapshot(revision, case.name, address, mock, event=event)
            made = request_of(revision, case.name, event, recipes, directory=self.directory, snapshot=snapshot, apply=apply)
            self._remember(case, made)
            self._runs[case.name] = (conversation, made.run)
            return made

        converger = Converger(conversation, revision, request, lambda event: self.on_event(case.name, event))
        try:
            done = converger.converge(case.name, case.file.events(case.suite), again=self.again)
        except HostKeyError as error:
            # `cookline trust` knows instances of stacks by name, and everything else by address
            at = f"{target.address}:{target.port}" if target.port not in (None, 22) else target.address
            raise HostKeyError(error.message, hint=f"compare it and pin it: cookline trust {at}") from None
        finally:
            self._runs.pop(case.name, None)
        result.checks += [Checked(step.name, step.seconds, step.failure) for step in done.steps]
        if done.failure:
            raise PhaseFailed(done.failure, done.exit_code)
        return "converged"

    def _remember(self, case: Case, request: RunRequest) -> None:
        """What the fixtures of its tests show; values of secrets stay out of it."""
        own: Mapping[str, Any] = next((each for each in request.snapshot["instances"] if each["name"] == case.name), {})
        shown = without_values(request.snapshot)
        self.records.save(replace(self.records.get(case.name), stack=request.stack, instance=own, snapshot=shown))

    def _setup(self, case: Case, result: Result) -> str:
        testinfra.require_tools()
        self.hosts.write_ssh_config()
        return "set_up"

    def _verify(self, case: Case, result: Result) -> str:
        tests = case.tests
        if not tests:
            self.on_event(case.name, {"kind": "said", "text": "there are no tests"})
            return "verified"
        what = self._described(self.records.get(case.name))
        verified = self._tests.verify(tests, what, self.records.reports, case.name)
        result.checks += [Checked(name, seconds, failure) for name, seconds, failure in verified.cases]
        told = {"passed": verified.passed, "tests": len(verified.cases), "output": verified.output}
        self.on_event(case.name, {"kind": "verified", **told})
        if not verified.passed:
            failed = sum(failure is not None for _, _, failure in verified.cases)
            counted = f"{failed} of {len(verified.cases)} tests failed" if verified.cases else "the tests could not be run"
            raise PhaseFailed(f"{counted}\n{verified.output.strip()}")
        return "verified"

    def _described(self, record: Record) -> dict[str, Any]:
        host = {**record.instance, "user": record.host.get("user", "root")}
        return testinfra.described(
            {record.name: host}, ssh_config=self.hosts.ssh_config, stack=record.stack, snapshot=record.snapshot
        )
