"""The engine of a run: reads, compares, applies, reads again and reports, one resource after another."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from cookline.errors import CommandError, CooklineError, RunError
from cookline.host.facts import Facts
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Action, Changes, Resource, State, differences
from cookline.host.run import origin, owed, payment
from cookline.host.run.cookbooks import Cookbooks, split
from cookline.host.run.guards import skip_reason
from cookline.host.run.journal import Journal
from cookline.host.run.masking import MASK
from cookline.host.run.node import Node, Outcome
from cookline.host.run.pending import Pending, settle
from cookline.host.run.recipe_scope import RecipeScope
from cookline.host.run.scratch import Notes
from cookline.host.run.templates import Templates
from cookline.host.system import PlanWrite, System
from cookline.protocol import RunRequest

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

SLOWEST_KEPT = 10  # features C20
# A retry's pause doubles, and no pause is longer than a minute.
LONGEST_PAUSE = 60.0

Event = Dict[str, Any]


class Stopped(RunError):
    """A resource failed: the run ends here. Its own event has been written."""


class Rebooting(RunError):
    """A Reboot ends this attempt; the next one goes on after it. `resource` is its name."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} reboots the host")
        self.resource = resource


class Cancelled(RunError):
    """The run was asked to stop, or its time is over."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Engine:
    """Converges one node. `declared` collects what the run declared, for the drift inventory.

    `system` and `facts` are those of this machine, unless a fake host's are given.
    """

    def __init__(
        self,
        request: RunRequest,
        journal: Journal,
        cookbooks: Cookbooks,
        carried: Sequence[owed.Debt],
        *,
        system: Optional[System] = None,
        facts: Optional[Facts] = None,
    ) -> None:
        self.request = request
        self.journal = journal
        self.cookbooks = cookbooks
        self.system = system or (System(on_wait=self._waiting) if request.apply else _overlay(self._waiting))
        self.system.on_tell = self._told
        self.system.die_at = request.die_at
        self.scratch = Notes(journal.directory)
        self.system.on_scratch = self.scratch.add
        self.node = Node(request, self, facts)
        self.templates = Templates(cookbooks, self.node)
        self.totals: Dict[str, int] = {}
        self.owed: Dict[str, owed.Debt] = {debt["action"]: debt for debt in carried}
        self.recipes: List[str] = []
        # kinds of resources that this run is for; empty: all
        self.kinds: Tuple[str, ...] = ()
        self.declared: Dict[str, Dict[str, Any]] = {}
        self.timings: List[Tuple[float, str]] = []
        self._pending: List[Pending] = []
        self.index = 0
        self.deadline = None if request.timeout is None else time.monotonic() + request.timeout
        self._recipe = ""

    # -- recipes ---------------------------------------------------------------------------------------------------

    def run_recipe(self, address: str, function: Optional[Callable[[Node], None]] = None) -> None:
        """Run a recipe unless this run has run it before."""
        address = "::".join(split(address))
        if address in self.recipes:
            return
        self.recipes.append(address)
        before, self._recipe = self._recipe, address
        self.journal.write({"kind": "recipe_started", "recipe": address}, now=False)
        (function or self.cookbooks.recipe(address))(self.node)
        self._recipe = before

    # -- resources -------------------------------------------------------------------------------------------------

    def ensure(self, resource: Resource, *, later: Sequence[Action], now: Sequence[Action]) -> Outcome:
        self._check_still_wanted()
        if resource.only_if or resource.not_if or any(resource.awaits(each.resource) for each in self._pending):
            self.settle()
        started = time.monotonic()
        header: Event = {"resource": self.index, "name": resource.name, "recipe": self._recipe}
        place = origin.author_place()
        header["line"] = str(place) if place else None
        self.index += 1
        self.system.afterwards.unsettled = None if now or resource.retries or resource.ignore_failure else []
        try:
            outcome = self._converge(resource, header, [*now, *later])
        except Exception as error:
            outcome = self._failed_beside_others(resource, header, error, place, started)
        else:
            checks, self.system.afterwards.unsettled = self.system.afterwards.unsettled, None
            if checks:
                seconds = time.monotonic() - started
                self._pending.append(Pending(resource, outcome, header, place, seconds, checks))
            else:
                self._finish(outcome, header, started)
        if outcome.kind == "changed":
            for action in now:
                self._pay(action.name)
            if resource.ends_attempt:
                raise Rebooting(resource.name)
        return outcome

    def settle(self) -> None:
        """End the resources that started services and went on meanwhile. Raises Stopped when a service did not stay up."""
        settle(self._pending, self._finish, self._failed)

    def _failed_beside_others(
        self, resource: Resource, header: Event, error: Exception, place: Optional[origin.Place], started: float
    ) -> Outcome:
        """A service that did not stay up may be why a later resource failed: then that is what ends the run."""
        self.system.afterwards.unsettled = None
        try:
            self.settle()
        except Stopped:
            with contextlib.suppress(Stopped):
                self._failed(resource, header, error, place, started)
            raise
        return self._failed(resource, header, error, place, started)

    def _converge(self, resource: Resource, header: Event, actions: Sequence[Action]) -> Outcome:
        try:
            reason = skip_reason(resource, self.system)
        except CannotKnow as error:
            self._overlay.cannot_foresee(resource.name, resource.below())
            return Outcome("cannot_know", reason=str(error))
        if self.kinds and type(resource).__name__ not in self.kinds:
            reason = f"this run is for {' and '.join(self.kinds)} only"
        if reason is not None:
            return Outcome("skipped", reason=reason)
        bound = resource.bind(RecipeScope(self, split(self._recipe)[0]))
        try:
            desired = bound.desired()
            changes = self._differences(bound, desired)
        except CannotKnow as error:
            return self._announce("cannot_know", bound, {}, str(error))
        except CooklineError as error:
            cause = self._may_mend(bound)
            if not cause:
                raise
            return self._announce("cannot_know", bound, {}, f"{error.message}; {cause} before it may mend that")
        self._declare(bound, desired, header)
        if not changes:
            return Outcome("unchanged" if self.request.apply else "will_not")
        header["changes"] = shown(bound, changes)
        header["diff"] = None if bound.sensitive else bound.diff(self.system, changes)
        if not self.request.apply:
            return self._announce("will_change", bound, changes)
        self._promise(header, [*actions, *self._own_actions(bound)])
        self._keep_before(bound, changes, header)
        self._apply(bound, changes)
        return Outcome("changed", changes)

    def _own_actions(self, bound: Resource) -> Sequence[Action]:
        return bound.owes(self.system)

    def _differences(self, bound: Resource, desired: State) -> Changes:
        if not self.request.apply and self._overlay.is_settled(bound.name, desired):
            return {}
        return differences(bound.current(self.system), desired)

    def _keep_before(self, bound: Resource, changes: Changes, header: Event) -> None:
        """Keep what `cookline undo` needs; a resource whose values are not shown is kept all the same, as root's alone."""
        from cookline.host.run import before

        header["undo"] = before.keep(
            self.journal.directory, header["resource"], self.journal.masker.text(bound.name), bound, self.system, changes
        )

    @property
    def _overlay(self) -> Overlay:
        """The machine of a plan."""
        return cast("Overlay", self.system)

    def _may_mend(self, bound: Resource) -> str:
        """What comes before in a plan, and may bring what a resource misses; the empty string outside of a plan."""
        return self.system.unforeseen(bound.below()) or self.system.unforeseen()

    def _announce(self, verdict: str, bound: Resource, changes: Changes, reason: str = "") -> Outcome:
        """Say what would become of a resource, and let the plan's picture of the machine know.

        What `apply` would refuse fails the plan as it would fail the run, unless something before may still mend it.
        """
        overlay = self._overlay
        overlay.names.append(bound.name)
        try:
            self._predict(bound, changes)
        except CannotKnow as error:
            overlay.cannot_foresee(bound.name, bound.below())
            verdict, reason = "cannot_know", reason or error.message
        except CooklineError as error:
            cause = self._may_mend(bound)
            if not cause and verdict == "will_change":
                raise
            overlay.cannot_foresee(bound.name, bound.below())
            verdict, reason = "cannot_know", reason or f"{error.message}; {cause} before it may bring that"
        return Outcome(verdict, changes, reason)

    def _predict(self, bound: Resource, changes: Changes) -> None:
        """As if it had been applied; when its changes are not known, all that it desires is one."""
        overlay = self._overlay
        wanted = bound.desired()
        try:
            bound.predict(overlay, changes or {name: (None, value) for name, value in wanted.items()})
        except PlanWrite:
            overlay.cannot_foresee(bound.name, bound.below())
            if bound.has_state:
                overlay.settle(bound.name, wanted, bound.below())

    def _promise(self, header: Event, actions: Sequence[Action]) -> None:
        """Journal that a change begins and what it will owe, and sync, before anything is changed."""
        debts = [owed.debt(action, header["name"], self.request.run) for action in actions]
        for debt in debts:
            self.owed.setdefault(debt["action"], debt)
        event = {name: header[name] for name in ("resource", "name", "recipe", "line")}
        self.journal.write({"kind": "started", **event, "owed": debts})
        self.journal.sync()

    def _apply(self, bound: Resource, changes: Changes) -> None:
        pause = bound.retry_delay
        for attempt in range(bound.retries + 1):
            try:
                bound.apply(self.system, changes)
                if bound.has_state:
                    self._prove_in_time(bound)
                return
            except Exception as error:
                if attempt == bound.retries:
                    raise
                self.log(f"{bound.name} failed, trying again in {pause:g} s: {MASK if bound.sensitive else error}", "warning")
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _prove_in_time(self, bound: Resource) -> None:
        """Now, or when what it has started has come to rest."""
        unsettled = self.system.afterwards.unsettled
        if unsettled:
            unsettled.append(lambda: self._prove(bound))
        else:
            self._prove(bound)

    def _prove(self, bound: Resource) -> None:
        left = differences(bound.current(self.system), bound.desired())
        if left:
            fields = ", ".join(f"{each['field']} is {each['from']!r}, not {each['to']!r}" for each in shown(bound, left))
            raise RunError(f"{bound.name} still differs after it was applied: {fields}")

    def _finish(self, outcome: Outcome, header: Event, started: float) -> None:
        seconds = time.monotonic() - started
        self.totals[outcome.kind] = self.totals.get(outcome.kind, 0) + 1
        self.timings.append((seconds, header["name"]))
        event = {"kind": outcome.kind, **header, "seconds": round(seconds, 5)}
        if outcome.reason:
            event["reason"] = outcome.reason
        self.journal.write(event, now=outcome.kind != "unchanged")

    def _failed(
        self, resource: Resource, header: Event, error: Exception, place: Optional[origin.Place], started: float
    ) -> Outcome:
        header["error"] = MASK + " (the resource is sensitive)" if resource.sensitive else origin.describe(error, place)
        if isinstance(error, CommandError):
            header["status"] = error.status
        header["ignored"] = resource.ignore_failure
        outcome = Outcome("failed")
        self._finish(outcome, header, started)
        if not resource.ignore_failure:
            raise Stopped(f"{header['name']} failed: {header['error']}") from error
        return outcome

    def _declare(self, bound: Resource, desired: Mapping[str, Any], header: Event) -> None:
        if bound.has_state:
            self.declared[bound.name] = {**header, "resource": bound, "desired": dict(desired)}

    # -- actions ---------------------------------------------------------------------------------------------------

    def owe(self, action: Action, because: str) -> None:
        debt = owed.debt(action, because, self.request.run)
        if self.owed.setdefault(debt["action"], debt) is debt and self.request.apply:
            self.journal.write({"kind": "owed", "owed": [debt]})

    def pay_all(self) -> None:
        """Do what is owed, in the order in which it was promised. A failed action stays owed and ends the run."""
        for name, debt in list(self.owed.items()):
            cookbook = payment.missing_cookbook(debt, self.cookbooks)
            if cookbook:
                self.log(f"{name} stays owed until a run has the cookbook {cookbook!r}", "warning")
            else:
                self._pay(name)

    def _pay(self, name: str) -> None:
        error = payment.pay(self.owed[name], self.journal, self.system, self.request.run)
        if error is not None:
            raise Stopped(f"{name} failed: {origin.describe(error)}") from error
        del self.owed[name]

    # -- what a recipe says by the way -------------------------------------------------------------------------------

    def log(self, text: str, level: str) -> None:
        self.journal.write({"kind": "log", "level": level, "text": str(text)[:8192], "recipe": self._recipe})

    def metric(self, name: str, value: float, unit: str) -> None:
        self.journal.write({"kind": "log", "level": "metric", "text": name, "value": float(value), "unit": unit})
        if self.request.apply:
            from cookline.host.resident import custom

            custom.spool(self.request.instance_id, name, float(value), unit)

    def _told(self, text: str, level: str) -> str:
        self.log(text, level)
        return str(self.journal.masker.event({"text": text})["text"])

    def _waiting(self, what: str, holder: str) -> None:
        self.journal.write({"kind": "waiting", "for": what, "holder": holder})

    def _check_still_wanted(self) -> None:
        if os.path.exists(self.journal.directory + "/cancel"):
            raise Cancelled("skipped", "cancelled")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Cancelled("failed", f"the run took longer than its timeout of {self.request.timeout:g} s")

    def slowest(self) -> List[Dict[str, Any]]:
        ranked = sorted(self.timings, reverse=True)[:SLOWEST_KEPT]
        return [{"name": name, "seconds": round(seconds, 5)} for seconds, name in ranked]


def _overlay(on_wait: Callable[[str, str], None]) -> System:
    """Imported for a plan only: a run has no use for it."""
    from cookline.host.overlay import Overlay

    return Overlay(on_wait)


def shown(resource: Resource, changes: Changes) -> List[Dict[str, Any]]:
    """The differences as a report has them: [{"field", "from", "to"}], values of sensitive fields masked."""
    return [
        {"field": name, "from": MASK, "to": MASK}
        if resource.sensitive or name in resource.sensitive_fields
        else {"field": name, "from": before, "to": after}
        for name, (before, after) in changes.items()
    ]
