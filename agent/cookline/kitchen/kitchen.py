"""The state machine: destroy, create, converge, setup, verify; many hosts side by side."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cookline.errors import EXIT_INTERRUPTED, EXIT_OK, CooklineError
from cookline.kitchen import verify as testinfra
from cookline.kitchen.cases import Case
from cookline.kitchen.course import Course, OnEvent
from cookline.kitchen.hosts import Hosts
from cookline.kitchen.locks import holding
from cookline.kitchen.record import Records, next_phases
from cookline.kitchen.result import Checked, Result

DESTROY = ("passing", "always", "never")


class Kitchen:
    """The kitchen of one project. `directory` is its .cookline; `on_event` gets (host, event) of all runs, phases and tests.

    `again` asks for the second converge; `fail_fast` begins nothing more after the first failure.
    """

    def __init__(
        self, directory: Path, on_event: OnEvent, *, parallel: int = 1, again: bool = True, fail_fast: bool = False
    ) -> None:
        self.directory, self._show = directory, on_event
        self.parallel, self.fail_fast = max(1, parallel), fail_fast
        self.records = Records(directory / "kitchen")
        self.hosts = Hosts(self.records)
        self.course = Course(directory, self.hosts, self.on_event, again=again)
        self._failed_first = threading.Event()
        # hosts that this command has made
        self._new: set[str] = set()

    def close(self) -> None:
        self.course.close()

    def on_event(self, host: str, event: Mapping[str, Any]) -> None:
        """What happens is shown, and that of one host is kept in its log."""
        if host:
            self.records.log(host, event)
        self._show(host, event)

    def go(self, cases: Sequence[Case], wanted: str) -> list[Result]:
        """Bring each case to `wanted` (a phase of record.PHASES). Never raises for what a host or a recipe does.

        Raises Locked when another command works on one of them, KeyboardInterrupt when what ran was stopped.
        """
        with holding(self.records, [case.name for case in cases]):
            return self._go(cases, wanted)

    def test(self, cases: Sequence[Case], destroy: str) -> list[Result]:
        """From nothing to verified. `destroy` says whose hosts go afterwards: passing, always, never."""
        names = [case.name for case in cases]
        with holding(self.records, names):
            self._destroy(names)
            results: list[Result] = []
            try:
                results = self._go(cases, "verify")
            finally:
                passed = [each.name for each in results if each.error is None]
                gone = self._destroy({"always": names, "passing": passed, "never": []}[destroy])
            for each in results:
                each.state = "absent" if each.error is not None and each.name in gone else each.state
            return results

    def destroy(self, names: Sequence[str]) -> list[str]:
        """Leave nothing of those hosts that were made, or begun; returns their names."""
        with holding(self.records, names):
            return self._destroy(names)

    def _destroy(self, names: Sequence[str]) -> list[str]:
        made = [name for name in names if self.records.has(name)]
        for name in made:
            if self.records.get(name).host.get("address"):
                self.course.pool.drop(self.hosts.target(name))
        self.hosts.destroy(made, self._say)
        return made

    def _say(self, text: str) -> None:
        self.on_event("", {"kind": "said", "text": text})

    # -- to a state ----------------------------------------------------------------------------------------------------

    def _go(self, cases: Sequence[Case], wanted: str) -> list[Result]:
        results = {case.name: Result(case.name, self.records.get(case.name).state) for case in cases}
        if wanted == "verify":
            testinfra.require_tools()
        for case in cases:
            self.records.begin_log(case.name)
        fitting = [case for case in cases if self._fits(case, results[case.name])]
        self._create([case for case in fitting if wanted == "create" or not self._is_up(case)], results)
        rest = [case for case in fitting if results[case.name].error is None]
        threads = ThreadPoolExecutor(self.parallel, thread_name_prefix="kitchen")
        try:
            list(threads.map(lambda case: self._phases(case, wanted, results[case.name]), rest))
        except KeyboardInterrupt:
            threads.shutdown(wait=False, cancel_futures=True)
            for name in self.course.interrupt():
                self._note(name, "created", "interrupted", EXIT_INTERRUPTED)
            raise
        finally:
            threads.shutdown(wait=False)
        return list(results.values())

    def _fits(self, case: Case, result: Result) -> bool:
        """Whether the host, if there is one, is what kitchen.yml asks for now."""
        try:
            self.hosts.check(case.name, case.provider, case.settings)
        except CooklineError as error:
            self._failed(case, result, "create", error)
        return result.error is None

    def _is_up(self, case: Case) -> bool:
        return self.records.get(case.name).state != "absent" and self.hosts.is_running(case.name, case.settings)

    def _create(self, cases: Sequence[Case], results: Mapping[str, Result]) -> None:
        """All hosts at once; when that fails, one by one, so that a bad one does not keep the others down."""
        begun = time.monotonic()
        absent = {case.name for case in cases if self.records.get(case.name).state == "absent"}
        try:
            self.hosts.create([(case.name, case.provider, case.settings) for case in cases], self._say)
        except CooklineError as error:
            if len(cases) == 1:
                self._failed(cases[0], results[cases[0].name], "create", error)
            else:
                for case in cases:
                    self._create([case], results)
            return
        self._new |= absent
        for case in cases:
            results[case.name].state = self.records.get(case.name).state
            results[case.name].checks.append(Checked("create", time.monotonic() - begun))

    def _phases(self, case: Case, wanted: str, result: Result) -> None:
        begun = time.monotonic()
        if self.fail_fast and self._failed_first.is_set():
            result.skipped = "another host has failed"
            return
        new = ["create"] if case.name in self._new else []
        for phase in [*new, *(each for each in next_phases(result.state, wanted) if each != "create")]:
            if not self._phase(phase, case, result):
                break
        result.seconds = time.monotonic() - begun

    def _phase(self, phase: str, case: Case, result: Result) -> bool:
        """Whether it went well. A defect of ours ends the work on this host alone, with its traceback in the log."""
        self.on_event(case.name, {"kind": "phase", "phase": phase})
        try:
            result.state = self.course.go(phase, case, result)
        except CooklineError as error:
            self._failed(case, result, phase, error)
            return False
        except Exception as error:
            self.records.log(case.name, {"kind": "said", "text": traceback.format_exc()})
            hint = f"cookline kitchen logs {case.name} shows the traceback"
            self._failed(case, result, phase, CooklineError(f"unexpected {type(error).__name__}: {error}", hint=hint))
            return False
        self._note(case.name, result.state, None, EXIT_OK)
        return True

    def _failed(self, case: Case, result: Result, phase: str, error: CooklineError) -> None:
        self._failed_first.set()
        result.fail(str(error), error.exit_code)
        if not any(check.failure for check in result.checks):
            result.checks.append(Checked(phase, 0.0, str(error)))
        state = self.records.get(case.name).state
        # a host that a failed converge has left behind is no longer what a verify may look at
        result.state = "created" if phase == "converge" and state != "absent" else state
        self._note(case.name, result.state, str(error), error.exit_code)
        self.on_event(case.name, {"kind": "phase_failed", "phase": phase, "error": str(error)})

    def _note(self, name: str, state: str, error: str | None, exit_code: int) -> None:
        if self.records.has(name):
            self.records.save(replace(self.records.get(name), state=state, error=error, exit_code=exit_code))
