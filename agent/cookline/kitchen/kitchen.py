"""The state machine: destroy, create, converge, setup, verify; many hosts side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cookline.control.sources.fetch import Fetcher, once
from cookline.control.stack.revision import frozen
from cookline.control.transport.bundle import bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.errors import EXIT_FAILED, EXIT_OK, CooklineError
from cookline.kitchen import verify as testinfra
from cookline.kitchen.cases import Case
from cookline.kitchen.converging import Converged, Converger
from cookline.kitchen.hosts import Hosts
from cookline.kitchen.record import Record, Records, next_phases
from cookline.kitchen.stack_hosts import without_values
from cookline.kitchen.working_tree import mock_snapshot, request_of
from cookline.protocol import RunRequest

DESTROY = ("passing", "always", "never")

OnEvent = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Checked:
    """One line of a JUnit report: a phase, a run of a converge, or a test."""

    name: str
    seconds: float
    failure: str | None = None


@dataclass
class Result:
    """What became of one host in one command."""

    name: str
    state: str
    checks: list[Checked] = field(default_factory=list)
    error: str | None = None
    exit_code: int = EXIT_OK
    seconds: float = 0.0

    def fail(self, error: str, exit_code: int = EXIT_FAILED) -> None:
        self.error, self.exit_code = error, exit_code


class PhaseFailed(CooklineError):
    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Kitchen:
    """The kitchen of one project. `directory` is its .cookline; `on_event` gets (host, event) of all runs, phases and tests."""

    def __init__(self, directory: Path, on_event: OnEvent, *, parallel: int = 1, again: bool = True) -> None:
        self.directory, self.on_event, self.again = directory, on_event, again
        self.parallel = max(1, parallel)
        self.fetch = once(Fetcher(directory))
        self.records = Records(directory / "kitchen")
        self.hosts = Hosts(self.records)
        self.pool = Pool()
        self._bundle = bundle()

    def close(self) -> None:
        self.pool.close()

    def go(self, cases: Sequence[Case], wanted: str) -> list[Result]:
        """Bring each case to `wanted` (a phase of record.PHASES). Never raises for what a host or a recipe does."""
        results = {case.name: Result(case.name, self.records.get(case.name).state) for case in cases}
        if wanted == "verify":
            testinfra.require_tools()
        down = [case for case in cases if wanted == "create" or not self._is_up(case, results[case.name])]
        self._create(down, results)
        rest = [case for case in cases if results[case.name].error is None]
        threads = ThreadPoolExecutor(self.parallel, thread_name_prefix="kitchen")
        try:
            list(threads.map(lambda case: self._phases(case, wanted, results[case.name]), rest))
        finally:
            # after Ctrl-C: what runs goes on on its host, what waits does not begin
            threads.shutdown(wait=False, cancel_futures=True)
        return list(results.values())

    def _is_up(self, case: Case, result: Result) -> bool:
        return result.state != "absent" and self.hosts.is_running(case.name, case.settings)

    def test(self, cases: Sequence[Case], destroy: str) -> list[Result]:
        """From nothing to verified. `destroy` says whose hosts go afterwards: passing, always, never."""
        self.destroy([case.name for case in cases])
        results = self.go(cases, "verify")
        gone = [each.name for each in results if destroy == "always" or (destroy == "passing" and each.error is None)]
        self.destroy(gone)
        return results

    def destroy(self, names: Sequence[str]) -> None:
        made = [name for name in names if self.records.get(name).state != "absent"]
        for name in made:
            self.pool.drop(self.hosts.target(name)) if self.records.get(name).host.get("address") else None
        self.hosts.destroy(made, lambda text: self.on_event("", {"kind": "said", "text": text}))

    # -- phases --------------------------------------------------------------------------------------------------------

    def _create(self, cases: Sequence[Case], results: Mapping[str, Result]) -> None:
        """All hosts at once; when that fails, one by one, so that a bad one does not keep the others down."""

        def create(some: Sequence[Case]) -> None:
            begun = time.monotonic()
            self.hosts.create(
                [(case.name, case.provider, case.settings) for case in some],
                lambda text: self.on_event("", {"kind": "said", "text": text}),
            )
            for case in some:
                results[case.name].state = self.records.get(case.name).state
                results[case.name].checks.append(Checked("create", time.monotonic() - begun))

        if not cases:
            return
        try:
            create(cases)
        except CooklineError as error:
            if len(cases) == 1:
                self._failed(cases[0], results[cases[0].name], "create", error)
                return
            for case in cases:
                self._create([case], results)

    def _phases(self, case: Case, wanted: str, result: Result) -> None:
        begun = time.monotonic()
        work = {"converge": self._converge, "setup": self._setup, "verify": self._verify}
        for phase in next_phases(result.state, wanted):
            if phase == "create":
                continue
            self.on_event(case.name, {"kind": "phase", "phase": phase})
            try:
                self._settle(case, result, work[phase](case, result))
            except CooklineError as error:
                self._failed(case, result, phase, error)
                break
        result.seconds = time.monotonic() - begun

    def _settle(self, case: Case, result: Result, state: str) -> None:
        result.state = state
        self.records.save(replace(self.records.get(case.name), state=state, error=None, exit_code=EXIT_OK))

    def _failed(self, case: Case, result: Result, phase: str, error: CooklineError) -> None:
        result.fail(str(error), error.exit_code)
        if not any(check.failure for check in result.checks):
            result.checks.append(Checked(phase, 0.0, str(error)))
        record = self.records.get(case.name)
        # a host that a failed converge has left behind is no longer what a verify may look at
        state = "created" if phase == "converge" and record.state != "absent" else record.state
        result.state = state
        if state != "absent":
            self.records.save(replace(record, state=state, error=str(error), exit_code=error.exit_code))
        self.on_event(case.name, {"kind": "phase_failed", "phase": phase, "error": str(error)})

    def _converge(self, case: Case, result: Result) -> str:
        revision = frozen(case.file.definition(case.suite, case.platform, case.name), self.fetch)
        mock = case.file.snapshot(case.suite)
        address = str(self.records.get(case.name).host.get("address"))

        def request(event: str, recipes: Sequence[str], apply: bool) -> RunRequest:
            snapshot = mock_snapshot(revision, case.name, address, mock, event=event)
            made = request_of(revision, case.name, event, recipes, directory=self.directory, snapshot=snapshot, apply=apply)
            self._remember(case, made)
            return made

        conversation = Conversation(self.pool, self.hosts.target(case.name), self._bundle)
        converger = Converger(conversation, revision, request, lambda event: self.on_event(case.name, event))
        done = converger.converge(case.name, case.file.events(case.suite), again=self.again)
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
            self.on_event(case.name, {"kind": "said", "text": f"{case.name}: there are no tests"})
            return "verified"
        verified = testinfra.verify(tests, self._described(self.records.get(case.name)), self.records.reports, case.name)
        result.checks += [Checked(name, seconds, failure) for name, seconds, failure in verified.cases]
        self.on_event(case.name, {"kind": "verified", "passed": verified.passed, "tests": len(verified.cases)})
        if not verified.passed:
            raise PhaseFailed(verified.output.strip())
        return "verified"

    def _described(self, record: Record) -> dict[str, Any]:
        host = {**record.instance, "user": record.host.get("user", "root")}
        return testinfra.described(
            {record.name: host}, ssh_config=self.hosts.ssh_config, stack=record.stack, snapshot=record.snapshot
        )


__all__ = ["DESTROY", "Checked", "Converged", "Kitchen", "Result"]
