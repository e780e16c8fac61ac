"""The laws that every case of every kind is held to, on one real host. See cases.py for what a case says."""

from __future__ import annotations

import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cookline.control.transport.pool import Pool
from tests.contract.cases import Case
from tests.contract.converger import OWING, PAID, Converger, Event
from tests.contract.disk import Disk, watched
from tests.contract.looks import Eyes
from tests.lab.hosts import LabHost

# These leave the writing of files to programs, which write as they please.
WRITTEN_BY_PROGRAMS = ("Execute", "Script", "Git", "Release", "Virtualenv")


def land(host: LabHost, converger: Converger) -> None:
    """Put cookline's own code on the host, out of the first host of its image that got it over the wire: a second for each."""
    kept, place = host.ssh_config.with_name(f"landed-{host.machine.record.image}"), host.root / "var/lib/cookline"
    if kept.exists():
        subprocess.run(["cp", "-a", kept, place], check=True)
    else:
        converger.conversation.hello()
        subprocess.run(["cp", "-a", place, kept], check=True)


class Trial:
    """One case on one fresh host. The methods are to be called in the order in which they stand."""

    def __init__(self, case: Case, host: LabHost, pool: Pool) -> None:
        self.case, self.host = case, host
        self.converger = Converger(pool, host, case)
        land(host, self.converger)
        self.disk = Disk(host)
        self.eyes = Eyes(self.converger.connection)
        if case.start:
            self.eyes.do(case.start)
        self.at_start = self.disk.states()
        self.planned: list[Event] = []
        self.run = ""
        self.undoable = False
        self.steps = 0

    @property
    def again(self) -> str:
        """How the resource ends when it is right already."""
        return "changed" if self.case.not_quiet else "skipped" if "only_if" in self.case.resource else "unchanged"

    # -- bad input -----------------------------------------------------------------------------------------------------

    def fails(self) -> None:
        end, (event,) = self.converger.run()
        assert end["outcome"] == "failed"
        assert event["kind"] == "failed"
        assert self.case.error in event["error"]
        assert "Traceback" not in event["error"]
        self.eyes.look(self.case.look)
        assert self.disk.left_over() == []

    # -- plan = apply --------------------------------------------------------------------------------------------------

    def plans(self) -> list[Event]:
        """The changes that the plan announces; it makes none of them."""
        before = self.disk.stamps()
        end, (event,) = self.converger.run(apply=False)
        assert end["outcome"] == "successful", end.get("error", end)
        assert self.disk.written(before) == [], "a plan writes nothing"
        if self.case.not_known:
            assert (event["kind"], self.case.not_known in event["reason"]) == ("cannot_know", True), event
            return []
        assert event["kind"] == "will_change", event
        self.planned = event["changes"]
        return self.planned

    def converges_as_planned(self) -> None:
        end, (event,) = self.converger.run()
        assert (end["outcome"], event["kind"]) == ("successful", "changed"), (end, event)
        assert self.case.not_known or event["changes"] == self.planned, "what the plan announced is what the run changed"
        assert end["mismatches"] == 0, end["mismatched"]
        reported = {change["field"]: [change["from"], change["to"]] for change in event["changes"]}
        expected = {name: reported.get(name) if values == "*" else values for name, values in self.case.changes.items()}
        assert reported == expected
        self.eyes.look(self.case.look)
        self.run, self.undoable, self.steps = self.converger.last, event["undo"], end["steps"]
        assert self.undoable != bool(self.case.not_undone), event

    # -- quiet ---------------------------------------------------------------------------------------------------------

    def is_quiet(self) -> None:
        """The second run changes nothing and writes nothing."""
        if self.case.not_quiet:
            self.ends(self.again)
            return
        with watched(self.host) as seen:
            self.ends(self.again)
        assert seen.events == []
        assert self.converger.drift() == []

    # -- undo ----------------------------------------------------------------------------------------------------------

    def is_undone(self) -> None:
        """What the run changed is as it was, and the next plan announces all of it again; or it is said that it stays."""
        before = self.disk.stamps()
        assert self.converger.undo(self.run)["outcome"] == "successful"
        if self.case.not_undone:
            (said,) = [event for event in self.converger.events if event["kind"] == "log"]
            assert said["text"].startswith(f"not undone: {self.case.kind}["), said
            assert self.disk.written(before) == []
            return
        assert self.disk.differences(self.at_start, tuple(self.case.kept)) == []
        again = [{"field": name, "from": values[0], "to": values[1]} for name, values in self.case.undone.items()]
        planned = self.planned
        assert self.plans() == (again or planned)

    # -- whole or not at all -------------------------------------------------------------------------------------------

    def is_mended_after_a_kill(self, step: int) -> bool:
        """A run killed at this step leaves whole files; the next one ends right, pays what is owed and clears up.

        False when the run had fewer steps.
        """
        paths = self._files()
        before = {path: self._read(path) for path in paths}
        with self._reader(paths) as seen:
            end, _ = self.converger.run(recipe=OWING, die_at=step)
            killed = end["outcome"] == "failed" and end["reason"] == "interrupted"
            assert killed or end["outcome"] == "successful", end
        at_death = {path: self._read(path) for path in paths}
        end, events = self.converger.run(recipe=OWING)
        assert (end["outcome"], end["owed"]) == ("successful", []), (step, end, events)
        if not self.case.not_quiet:
            self.eyes.look(self.case.look)
        assert self.disk.left_over() == []
        self.ends(self.again)
        assert self.converger.drift() == []
        assert (self.host.root / PAID[1:]).exists()
        for path in paths:
            whole = {before[path], self._read(path)}
            assert {at_death[path], *seen[path]} <= whole, f"{path} was half written at step {step}"
        return killed

    def sampled_step(self) -> int:
        """A step of the run, always the same for a case."""
        return 1 + zlib.crc32(f"{self.case.kind} {self.case.name}".encode()) % max(1, self.steps)

    def _files(self) -> list[str]:
        looked_at = [each["file"] for each in self.case.look if "file" in each]
        return [] if self.case.kind in WRITTEN_BY_PROGRAMS else looked_at

    def _read(self, path: str) -> bytes | None:
        """Links are followed as the host follows them."""
        try:
            with open(self.host.inside(path), "rb") as file:
                return file.read()
        except OSError:
            return None

    @contextmanager
    def _reader(self, paths: list[str]) -> Iterator[dict[str, set[bytes | None]]]:
        """Somebody who reads the files all the time."""
        seen: dict[str, set[bytes | None]] = {path: set() for path in paths}
        over = threading.Event()

        def read() -> None:
            while not over.wait(0.001):
                for path in paths:
                    seen[path].add(self._read(path))

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()

    # -- drift, removal ------------------------------------------------------------------------------------------------

    def drifts(self) -> None:
        self.eyes.do(self.case.break_)
        (finding,) = self.converger.drift()
        assert finding["resource"].startswith(f"{self.case.kind}[")
        assert sorted(each["field"] for each in finding["differences"]) == sorted(self.case.drift)

    def is_repaired(self) -> None:
        self.ends("changed")
        self.eyes.look(self.case.look)
        assert self.converger.drift() == []

    def is_removed(self) -> None:
        self.ends("changed", **self.case.remove)
        self.eyes.look(self.case.gone)
        self.ends("unchanged", **self.case.remove)
        assert self.disk.left_over() == []

    def ends(self, outcome: str, **changed: Any) -> Event:
        end, events = self.converger.run(**changed)
        assert end["outcome"] == "successful", end.get("error", end)
        assert [event["kind"] for event in events] == [outcome], events
        return events[0]
