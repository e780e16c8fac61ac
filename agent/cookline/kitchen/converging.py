"""A suite's converge: a plan, the run, and the same run again, which must change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cookline.control.stack.revision import Revision
from cookline.control.stack.run_list import run_list
from cookline.control.transport.conversation import Conversation
from cookline.errors import EXIT_FAILED, EXIT_OK, CooklineError
from cookline.kitchen.working_tree import WorkingTrees
from cookline.protocol import PLAN_VERDICTS, RESOURCE_OUTCOMES, RunRequest

Event = dict[str, Any]
OnEvent = Callable[[Event], None]


@dataclass
class Step:
    """One run of a converge: which (plan setup, setup, setup again), how it ended, and why the suite fails by it."""

    name: str
    seconds: float = 0.0
    totals: Mapping[str, int] = field(default_factory=dict)
    failure: str | None = None


@dataclass
class Converged:
    """The runs of one converge, in order; the last one carries the failure, if there is one."""

    steps: list[Step] = field(default_factory=list)

    @property
    def failure(self) -> str | None:
        return next((f"{step.name}: {step.failure}" for step in self.steps if step.failure), None)

    def failed(self) -> bool:
        return self.failure is not None

    def judge(self, sentence: str | None) -> None:
        """The last run has failed by `sentence`, unless it has failed by itself."""
        self.steps[-1].failure = self.steps[-1].failure or sentence

    @property
    def exit_code(self) -> int:
        return EXIT_FAILED if self.failure else EXIT_OK


class Converger:
    """Converges one host. `request_for(event, recipes, apply)` makes the request of each run."""

    def __init__(
        self,
        conversation: Conversation,
        revision: Revision,
        request_for: Callable[[str, Sequence[str], bool], RunRequest],
        on_event: OnEvent,
    ) -> None:
        self.conversation, self.revision, self.request_for, self.on_event = conversation, revision, request_for, on_event
        self.trees = WorkingTrees(revision)

    def converge(self, instance: str, events: Iterable[str], *, again: bool = True) -> Converged:
        """Plan and run each event in turn, then all of them again. Stops at the first failure. Raises Unreachable."""
        done = Converged()
        lists = [(event, recipes) for event in events if (recipes := run_list(self.revision.stack, instance, event))]
        if not lists:
            done.steps.append(Step("converge", failure="the suite has no recipes for its events"))
        for event, recipes in lists:
            planned = self._run(done, f"plan {event}", event, recipes, apply=False)
            if done.failed():
                return done
            ran = self._run(done, event, event, recipes)
            done.judge(mismatches(planned, ran))
            if done.failed():
                return done
        for event, recipes in lists if again else ():
            done.judge(not_idempotent(self._run(done, f"{event} again", event, recipes)))
            if done.failed():
                break
        return done

    def _run(self, done: Converged, name: str, event: str, recipes: Sequence[str], *, apply: bool = True) -> list[Event]:
        step = Step(name)
        done.steps.append(step)
        seen: list[Event] = []

        def heard(message: Event) -> None:
            seen.append(message)
            self.on_event({**message, "step": name})

        try:
            end = self.conversation.run(self.request_for(event, recipes, apply), self.trees, heard)
        except CooklineError as error:
            step.failure = str(error)
            raise
        step.seconds, step.totals = float(end.get("seconds") or 0.0), end.get("totals") or {}
        if end["outcome"] != "successful":
            step.failure = str(end.get("error") or end.get("reason") or end["outcome"])
        return seen


def _by_resource(events: Iterable[Event], kinds: Iterable[str]) -> dict[tuple[str, str, int], Event]:
    """The ending of each resource; the same resource declared twice is counted."""
    found: dict[tuple[str, str, int], Event] = {}
    times: dict[tuple[str, str], int] = {}
    for event in events:
        if event["kind"] in kinds:
            key = (str(event.get("recipe")), str(event["name"]))
            times[key] = times.get(key, 0) + 1
            found[(*key, times[key])] = event
    return found


def mismatches(planned: Iterable[Event], ran: Iterable[Event]) -> str | None:
    """Where the run did otherwise than the plan had said; None when it kept its word. "Cannot know" is always right."""
    said, did = _by_resource(planned, {*PLAN_VERDICTS, "skipped"}), _by_resource(ran, RESOURCE_OUTCOMES)
    open_question = any(event["kind"] == "cannot_know" for event in said.values())
    wrong = []
    for key, event in did.items():
        before = said.get(key)
        if before is None:
            if not open_question and event["kind"] == "changed":
                wrong.append((event, "not planned at all"))
        elif (before["kind"], event["kind"]) in (("will_not", "changed"), ("will_change", "unchanged")):
            wrong.append((event, before["kind"].replace("_", " ")))
    if not wrong:
        return None
    lines = [f"  {event['name']} ({event.get('line')}): planned {word}, the run says {event['kind']}" for event, word in wrong]
    return "\n".join(["the plan and the run disagree:", *lines])


def not_idempotent(events: Iterable[Event]) -> str | None:
    """What the second converge changed; None when it changed nothing."""
    changed = [event for event in events if event["kind"] == "changed"]
    if not changed:
        return None
    lines = []
    for event in changed:
        fields = ", ".join(str(each.get("field")) for each in event.get("changes") or [])
        lines.append(f"  {event['name']} ({event.get('line')})" + (f": {fields}" if fields else ""))
        lines += [f"    {line}" for line in str(event.get("diff") or "").splitlines()[:20]]
    return "\n".join(["the second converge must change nothing, but it changed:", *lines])
