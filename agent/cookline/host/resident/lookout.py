"""Decides when drift is looked at, on a timer and soon after a managed path was touched, and whether the watch still sees."""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, List, Optional, Set

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.host.resident import inventory as inventories
from cookline.host.resident.checker import LONGEST_SECONDS, Checker, Result
from cookline.host.resident.drift import run_holder
from cookline.host.resident.findings import Findings
from cookline.host.resident.schedule import Schedule
from cookline.host.resident.settings import Settings
from cookline.host.resident.watch import Watch, touch

# After an event others follow (an editor writes, renames, changes the mode): wait for quiet, but not for long.
QUIET_SECONDS = 0.1
QUIET_AT_MOST_SECONDS = 0.5
# While a run holds the host; the end of the run is also told by the watch, as the lock's file is closed then.
RUN_POLL_SECONDS = 1.0
# The watch is tried by touching a file of ours: its event must come within the first. It is tried again after the second and
# with each look of the timer.
CANARY_SECONDS = 5.0
CANARY_INTERVAL = 600.0
CANARY = paths.STATE_DIRECTORY + "/watch-canary/canary"
# After a check that could not be made.
RETRY_SECONDS = 60.0

Say = Callable[[str, Dict[str, Any]], None]
Names = Optional[Set[str]]  # None is everything


class Lookout:
    """Lives in the daemon's loop: `watch` and `checker` have descriptors that the loop waits on.

    `say(kind, data)` spools a record; `health` is {"healthy": True | False | None (not known yet), "reason", ..}.
    """

    def __init__(self, settings: Settings, schedule: Schedule, say: Say) -> None:
        self.settings = settings
        self.schedule = schedule
        self.say = say
        self.watch: Optional[Watch] = None
        self.checker = Checker()
        self.health: Dict[str, Any] = {"healthy": None if settings.watch else False, "reason": "" if settings.watch else "off"}
        self.last: Dict[str, Any] = {}
        self._watched: Dict[str, List[str]] = {}
        self._pending: Names = set()
        self._first_event = 0.0
        self._unreadable = ""
        self._expected = False  # the canary was touched and its event has not come yet

    def start(self) -> None:
        if self.settings.watch:
            self.try_watch()
        if self.settings.drift_interval > 0:
            first = random.uniform(0, min(self.settings.drift_splay, self.settings.drift_interval))
            self.schedule.after(first, "drift timer", self.on_timer)

    def stop(self) -> None:
        if self.checker.busy:
            self.checker.stop()
            self.checker.result()
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    # -- the timer -------------------------------------------------------------------------------------------------

    def on_timer(self) -> None:
        splay = min(self.settings.drift_splay, self.settings.drift_interval)
        self.schedule.after(self.settings.drift_interval + random.uniform(-splay, splay) / 2, "drift timer", self.on_timer)
        self._look_soon(None, 0.0, "timer")
        if self.settings.watch:
            self.try_watch()

    # -- the watch -------------------------------------------------------------------------------------------------

    def on_events(self) -> None:
        """The watch's descriptor is readable."""
        assert self.watch is not None
        touched = self.watch.read()
        if self.watch.overflowed:
            self.watch.overflowed = False
            self.say("watch", {"healthy": True, "reason": "the kernel's queue ran over; everything is looked at"})
            self._look_soon(None, QUIET_SECONDS, "watch")
        if CANARY in touched:
            self._on_canary()
        if paths.INVENTORY in touched:
            self._on_inventory()
        names = {name for path in touched for name in self._watched.get(path, ())}
        if names:
            self._look_soon(names, self._debounced(), "watch")
        elif paths.LOCK in touched and self.schedule.waits("drift look"):
            self._look_soon(set(), QUIET_SECONDS, "watch")

    def _debounced(self) -> float:
        now = time.monotonic()
        if not self.schedule.waits("drift look"):
            self._first_event = now
        return max(0.0, min(QUIET_SECONDS, self._first_event + QUIET_AT_MOST_SECONDS - now))

    def _on_inventory(self) -> None:
        """A run has declared anew: other paths are watched, and what it corrected is no finding any more."""
        self._arrange()
        open_names = set(Findings().open)
        if open_names:
            self._look_soon(open_names, QUIET_SECONDS, "watch")

    def _arrange(self) -> None:
        assert self.watch is not None
        try:
            self._watched = inventories.watched_paths(inventories.read())
            self._unreadable = ""
        except HostStateError as error:
            if self._unreadable != error.message:
                self._unreadable = error.message
                self.say("log", {"level": "error", "text": str(error)})
        self.watch.watch([*self._watched, paths.INVENTORY, paths.LOCK, CANARY])

    # -- whether it sees ---------------------------------------------------------------------------------------------

    def try_watch(self) -> None:
        """Touch the canary: its event has to come. A watch that was blind is made anew first."""
        if self._expected:
            return
        try:
            if self.watch is None or self.health["healthy"] is False:
                self._renew()
            touch(CANARY)
        except (OSError, HostStateError) as error:
            self._judge(False, str(error))
            self.schedule.after(CANARY_INTERVAL, "canary", self.try_watch)
            return
        self._expected = True
        self.schedule.after(CANARY_SECONDS, "canary", self._no_canary)

    def _renew(self) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        self.watch = Watch()
        self._arrange()

    def _on_canary(self) -> None:
        assert self.watch is not None
        self._expected = False
        self._arrange()  # directories may have been mounted over meanwhile
        unwatched = self.watch.unwatched
        if unwatched:
            directory, reason = next(iter(sorted(unwatched.items())))
            more = f" and {len(unwatched) - 1} more directories" if len(unwatched) > 1 else ""
            self._judge(False, f"{directory}{more} cannot be watched: {reason}")
        else:
            self._judge(True, "")
        self.schedule.after(CANARY_INTERVAL, "canary", self.try_watch)

    def _no_canary(self) -> None:
        self._expected = False
        self._judge(False, f"a change of {CANARY} was not told of within {CANARY_SECONDS:g} s")
        self.schedule.after(CANARY_INTERVAL, "canary", self.try_watch)

    def _judge(self, healthy: bool, reason: str) -> None:
        """A change of health is a record; while the watch is blind the timer alone finds drift."""
        news = (healthy, reason) != (self.health["healthy"], self.health["reason"])
        self.health = {"healthy": healthy, "reason": reason, "directories": self.watch.directories if self.watch else 0}
        if news:
            self.say("watch", dict(self.health))

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look_soon(self, names: Names, seconds: float, detected_by: str) -> None:
        """Look at `names` (None: at everything) besides what waits already."""
        self._pending = None if names is None or self._pending is None else self._pending | names
        self.schedule.after(seconds, "drift look", lambda: self._look(detected_by))

    def _look(self, detected_by: str) -> None:
        if self.checker.busy:
            self.schedule.after(QUIET_SECONDS, "drift look", lambda: self._look(detected_by))
            return
        if run_holder() is not None:
            self.schedule.after(RUN_POLL_SECONDS, "drift look", lambda: self._look(detected_by))
            return
        names, self._pending = self._pending, set()
        if names is not None and not names:
            return
        try:
            self.checker.start(detected_by, None if names is None else sorted(names))
        except OSError as error:  # no memory, no processes
            self.say("log", {"level": "error", "text": f"drift could not be looked at: {error}"})
            self._look_soon(names, RETRY_SECONDS, detected_by)
        else:
            self.schedule.after(LONGEST_SECONDS, "drift hangs", self.checker.stop)

    def on_checked(self) -> None:
        """The checker's descriptor is readable: the child has ended."""
        self.schedule.cancel("drift hangs")
        result = self.checker.result()
        if result.answer is not None:
            self._on_answer(result, result.answer)
            return
        again = None if result.names is None else set(result.names)
        if not result.deferred:
            self.say("log", {"level": "error", "text": f"drift could not be looked at: {result.error}"})
        self._look_soon(again, RUN_POLL_SECONDS if result.deferred else RETRY_SECONDS, result.detected_by)

    def _on_answer(self, result: Result, answer: Dict[str, Any]) -> None:
        self.last = {"at": time.time(), "by": result.detected_by, **{k: v for k, v in answer.items() if k != "held"}}
        held: Dict[str, float] = answer.get("held") or {}
        if held:
            self.schedule.after(
                max(held.values()), "held findings", lambda: self._look_soon(set(held), QUIET_SECONDS, result.detected_by)
            )
