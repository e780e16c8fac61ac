"""One run on one instance, from its turn to its outcome. May be called again for the same run by a successor after a crash:
the host executes a run once and otherwise shows its journal, and the first ending of a run stands.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cookline.control.lifecycle import requests
from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.plan import RULES, Rule
from cookline.control.lifecycle.states import move, refusal
from cookline.control.store.runs import ASKED, TAKING_BACK
from cookline.errors import CooklineError, DiskFull, Locked, Unreachable
from cookline.protocol import OUTCOMES, RunRequest

if TYPE_CHECKING:
    from cookline.control.lifecycle.hosts import Hosts
    from cookline.control.lifecycle.progress import Progress
    from cookline.control.lifecycle.snapshots import Snapshots
    from cookline.control.lifecycle.turns import Turns
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.runs import RunRecord
    from cookline.control.store.store import Store
    from cookline.control.transport.base import Target
    from cookline.control.transport.conversation import Conversation

Converse = Callable[["Target", Callable[[str], None]], "Conversation"]

# After its time is up a host starts nothing more; the resource that is at work gets this long to end.
GRACE_SECONDS = 5.0
# An honest host's brief facts are 300 bytes.
FACTS_BYTES = 4096


@dataclass(frozen=True)
class Verdict:
    """How a run ended, as the store keeps it; `stuck`: the provider could not start or stop the host."""

    outcome: str
    reason: str | None = None
    error: str | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    attempt: int | None = None
    owed: list[Any] | None = None
    stuck: bool = False


@dataclass(frozen=True)
class Part:
    """One instance's part of a command. `rule` is the command's where it is carried out or taken back, else configure's."""

    run: RunRecord
    command: Command
    stack_id: str
    power: str

    @property
    def rule(self) -> Rule:
        return RULES[self.command.kind] if self.run.apply and self.run.phase in (ASKED, TAKING_BACK) else RULES["configure"]


class Runner:
    """Carries out runs; everything that it needs to know of one is in the store."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        turns: Turns,
        progress: Progress,
        revisions: requests.Revisions,
        snapshots: Snapshots,
        converse: Converse,
    ) -> None:
        self.store, self.hosts, self.turns, self.progress = store, hosts, turns, progress
        self.revisions, self.snapshots, self.converse = revisions, snapshots, converse

    def perform(self, run_id: str) -> str:
        """The run's outcome. Never raises for what a host, a provider or a definition does."""
        with self._turn(self.store.runs.run(run_id)):
            run = self.store.runs.run(run_id)
            if run.outcome is not None:
                self._tell_outcome(run)
                return run.outcome
            part = self._part(run)
            verdict = self._verdict(part)
            self._settle(part, verdict)
        return verdict.outcome

    def fail(self, run_id: str, error: Exception) -> None:
        """End a run before it began: its host could not be brought up."""
        part = self._part(self.store.runs.run(run_id))
        self._settle(part, replace(verdict_of(error), outcome="failed", stuck=True))

    def skip(self, run_id: str, reason: str) -> None:
        """End a run before it began: there is nothing for it to do."""
        self._settle(self._part(self.store.runs.run(run_id)), Verdict("skipped", reason))

    def _turn(self, run: RunRecord) -> AbstractContextManager[None]:
        # a plan changes nothing, and may run beside another process, whose claims it could not wait for
        return self.turns.turn(run.instance_id, run.id) if run.apply else nullcontext()

    def _part(self, run: RunRecord) -> Part:
        record = self.store.runs.command(run.command_id)
        command = replace(Command.from_dict(record.options["command"]), revision=record.revision)
        if run.back_to is not None:
            earlier = self.store.runs.command(run.back_to["command"])
            attributes = Command.from_dict(earlier.options["command"]).attributes
            apps = tuple(run.back_to["apps"])
            command = replace(command, revision=earlier.revision, attributes=attributes, apps=apps)
        return Part(run, command, record.stack_id, record.options["power"].get(run.id, ""))

    def _verdict(self, part: Part) -> Verdict:
        taking_back = part.run.phase == TAKING_BACK
        if part.run.started is None and not taking_back and self.store.runs.command(part.run.command_id).cancelled is not None:
            return Verdict("skipped", "the command was cancelled before this run began")
        overtaken = self._overtaken(part)
        if overtaken:
            return Verdict("skipped", overtaken)
        try:
            if part.rule.power == "cycle":
                return self._reboot(part)
            verdict = self._converge(part)
        except DiskFull:
            raise  # the host goes on; whoever has room again asks it how it ended
        except Exception as error:
            verdict = verdict_of(error)
        return self._power_off(part, verdict) if part.rule.power == "off" else verdict

    def _overtaken(self, part: Part) -> str | None:
        """Why the run is not what its instance needs any more: another command has moved it since this one was planned."""
        if part.run.started is not None or not part.run.apply:
            return None
        instance = self.store.instances.get(part.run.instance_id)
        if part.rule.during:
            return refusal(instance.name, instance.state, part.rule.during)
        if instance.state in part.rule.accepts:
            return None
        return f"{instance.name} is {instance.state} by now; {part.run.event} is for instances that are online"

    # -- the event -----------------------------------------------------------------------------------------------------

    def _converge(self, part: Part) -> Verdict:
        run, command = part.run, part.command
        self._enter(part, part.rule.during)
        revision = self.revisions.get(command.stack, command.revision or 0)
        request = self._request(part, revision)
        instance = self.store.instances.get(run.instance_id)
        conversation = self.converse(self.hosts.target(revision, instance), lambda text: self._say(run, text))
        begun = time.monotonic()
        limit = None if request.timeout is None else request.timeout + GRACE_SECONDS
        try:
            return verdict_of_end(self._follow(conversation, request, revision, run.command_id, limit))
        except Unreachable:
            if limit is None or time.monotonic() - begun < limit:
                raise
        # the host may be asked in vain; it is stopped or left alone after this either way
        return Verdict("expired", f"the {run.event} recipes were not done after {request.timeout:.0f} s", seconds=limit)

    def _request(self, part: Part, revision: Revision) -> RunRequest:
        number = self.snapshots.take(part.stack_id, part.command.revision or 0)
        self.store.runs.begin(part.run.id, number)
        instance = self.store.instances.get(part.run.instance_id)
        run = self.store.runs.run(part.run.id)
        return requests.build(self.store, self.snapshots, revision, part.command, run, instance)

    def _follow(
        self, conversation: Conversation, request: RunRequest, revision: Revision, command: str, limit: float | None
    ) -> Mapping[str, Any]:
        with self.store.reports.open(request.run) as report:

            def on_event(event: dict[str, Any]) -> None:
                if event.get("kind") == "run_started":
                    keep_facts(self.store, request.instance_id, event.get("facts"))
                if report.add(event):
                    self.progress.pass_on(request.instance, {**event, "run": request.run, "command": command})

            return conversation.run(request, requests.KeptTrees(self.store, revision), on_event, limit)

    # -- power ---------------------------------------------------------------------------------------------------------

    def _reboot(self, part: Part) -> Verdict:
        """Fires no event (row O23)."""
        self._enter(part, part.rule.during)
        instance = self.store.instances.get(part.run.instance_id)
        self.store.runs.begin(part.run.id, 0)
        self._hang_up(part)
        failed = self.hosts.reboot([instance], lambda text: self._say(part.run, text))
        return verdict_of(failed[instance.name]) if failed else Verdict("successful")

    def _power_off(self, part: Part, verdict: Verdict) -> Verdict:
        """Whatever came of the shutdown recipes, the host stops."""
        if part.power != "off" or verdict.outcome == "skipped":
            return verdict
        self._enter(part, "stopping")
        instance = self.store.instances.get(part.run.instance_id)
        self._hang_up(part)
        failed = self.hosts.power_off([instance], lambda text: self._say(part.run, text))
        return replace(verdict_of(failed[instance.name]), totals=verdict.totals, stuck=True) if failed else verdict

    def _hang_up(self, part: Part) -> None:
        """Close the connection that is kept open: a host that loses its power does not say so."""
        with suppress(CooklineError):
            revision = self.revisions.get(part.command.stack, part.command.revision or 0)
            target = self.hosts.target(revision, self.store.instances.get(part.run.instance_id))
            conversation = self.converse(target, lambda text: None)
            conversation.pool.drop(target)

    # -- states and the end --------------------------------------------------------------------------------------------

    def _enter(self, part: Part, state: str) -> None:
        if state:
            self._tell_state(part, move(self.store, part.run.instance_id, state), state)

    def _tell_state(self, part: Part, before: str, state: str) -> None:
        if before != state:
            self.progress.tell(part.run.instance, "state", state=state, before=before, command=part.run.command_id)

    def _where_it_was(self, instance: Instance) -> str:
        """The state in which a rebooted instance was before: a reboot neither sets it up nor makes up for a setup."""
        if instance.online:
            return "online"
        setup = self.store.runs.newest(instance.id, "setup")
        return "setup_failed" if setup and setup.outcome in ("failed", "expired") else "connection_lost"

    def _settle(self, part: Part, verdict: Verdict) -> None:
        """The run's end, the instance's state and its last event, all or nothing."""
        run = part.run
        ending: dict[str, Any] = {"outcome": verdict.outcome, "reason": verdict.reason, "error": verdict.error}
        ending |= {"totals": dict(verdict.totals), "seconds": verdict.seconds}
        with self.store.database.transaction():
            self.store.runs.finish(run.id, **ending, attempt=verdict.attempt)
            instance = self.store.instances.get(run.instance_id)
            before = state = instance.state
            if run.apply:
                self._remember(part, verdict)
                state = end_state(part.rule, before, verdict)
                if part.rule.power == "cycle" and state == "online":
                    state = self._where_it_was(instance)
                move(self.store, run.instance_id, state)
        self._tell_state(part, before, state)
        self._tell_outcome(self.store.runs.run(run.id))

    def _tell_outcome(self, run: RunRecord) -> None:
        names = ("event", "phase", "outcome", "reason", "error", "totals", "seconds")
        values = {name: getattr(run, name) for name in names}
        self.progress.tell(run.instance, "outcome", run=run.id, command=run.command_id, **values)

    def _remember(self, part: Part, verdict: Verdict) -> None:
        if verdict.outcome in ("skipped", "superseded"):
            return
        now = time.time()
        values: dict[str, Any] = {"last_run": part.run.id, "last_event": part.run.event, "last_outcome": verdict.outcome}
        values |= {"last_reason": verdict.reason, "last_changed": int(verdict.totals.get("changed", 0)), "last_at": now}
        if verdict.outcome != "unreachable":
            values["contact"] = now
        if verdict.owed is not None:
            values["owed"] = verdict.owed
        if part.rule.power in ("on", "off"):
            values["stopped_on_purpose"] = int(part.rule.power == "off")
        self.store.instances.record(part.run.instance_id, **values)

    def _say(self, run: RunRecord, text: str) -> None:
        self.progress.tell(run.instance, "progress", text=text, run=run.id, command=run.command_id)


def end_state(rule: Rule, current: str, verdict: Verdict) -> str:
    """The state that an instance is left in, which may be the one that it is in."""
    wanted = _wanted_state(rule, current, verdict)
    # somebody else may have moved it meanwhile: then their word stands
    return wanted if wanted and refusal("", current, wanted) is None else current


def _wanted_state(rule: Rule, current: str, verdict: Verdict) -> str:
    if verdict.outcome == "skipped":
        return "start_failed" if current in ("requested", "pending", "booting") else ""
    if rule.power == "off":
        # stopped regardless of what the recipes did
        return rule.failure if verdict.stuck else rule.success
    if verdict.outcome == "successful":
        return rule.success
    if verdict.stuck and rule.power == "on":
        return "start_failed"
    return "connection_lost" if verdict.outcome == "unreachable" and rule.success else rule.failure


def verdict_of(error: Exception) -> Verdict:
    """What an error makes of a run: named, sorted by who can mend it, never a traceback."""
    if isinstance(error, Unreachable):
        return Verdict("unreachable", _first_line(error), error=str(error))
    if isinstance(error, Locked):
        return Verdict("expired", _first_line(error), error=str(error))
    if isinstance(error, CooklineError):
        return Verdict("failed", _first_line(error), error=str(error))
    return Verdict("failed", f"cookline itself failed: {type(error).__name__}: {error}", error=repr(error))


def _first_line(error: CooklineError) -> str:
    return error.message.split("\n")[0]


def keep_facts(store: Store, instance_id: str, facts: Any) -> None:
    """What a run says of its host, for `fact:` selectors: groups of plain values, of which nothing more is believed."""
    if not isinstance(facts, dict):
        return
    kept = {
        str(group)[:50]: {str(name)[:50]: value for name, value in values.items() if isinstance(value, str | int | float)}
        for group, values in list(facts.items())[:50]
        if isinstance(values, dict)
    }
    if len(json.dumps(kept)) <= FACTS_BYTES and store.instances.get(instance_id).facts != kept:
        store.instances.record(instance_id, facts=kept)


def verdict_of_end(end: Mapping[str, Any]) -> Verdict:
    """Out of a host's run_finished, of which nothing is believed but its shape."""
    outcome = end.get("outcome")
    totals = end.get("totals")
    seconds, attempt, owed = end.get("seconds"), end.get("attempt"), end.get("owed")
    return Verdict(
        outcome=outcome if outcome in OUTCOMES else "failed",
        reason=_text(end.get("reason"), 2000),
        error=_text(end.get("error"), 64_000),
        totals={str(key): int(_number(value) or 0) for key, value in totals.items()} if isinstance(totals, dict) else {},
        seconds=_number(seconds),
        attempt=int(_number(attempt) or 1),
        owed=owed if isinstance(owed, list) else None,
    )


def _text(value: Any, limit: int) -> str | None:
    return None if value is None else str(value)[:limit]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
