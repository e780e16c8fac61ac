"""What a timer looks at: one stack as it stands, and who may be touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command

if TYPE_CHECKING:
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.stack.models import Instance as Definition
    from cookline.control.stack.models import Stack
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance
    from cookline.control.store.store import Store

# A run of before may still be at work on a host that was away.
LOCK_SECONDS = 300.0


@dataclass(frozen=True)
class Scene:
    """`now` is the time of the epoch at which the look began."""

    dispatcher: Dispatcher
    revision: Revision
    stack_id: str
    now: float

    @classmethod
    def of(cls, dispatcher: Dispatcher, stack: str, now: float) -> Scene:
        revisions = dispatcher.store.revisions
        return cls(dispatcher, dispatcher.revisions.get(stack, revisions.newest(stack)), revisions.stack_id(stack), now)

    @property
    def stack(self) -> Stack:
        return self.revision.stack

    @property
    def store(self) -> Store:
        return self.dispatcher.store

    @cached_property
    def instances(self) -> Sequence[Instance]:
        """Those that the newest revision names, in its order."""
        known = {each.name: each for each in self.store.instances.of(self.stack_id)}
        return [known[name] for name in self.stack.instances if name in known]

    def definition(self, instance: Instance) -> Definition:
        return self.stack.instances[instance.name]

    def busy(self, instance: Instance) -> bool:
        """Whether a command is at work on the instance, or waits to be."""
        return any(run.apply for run in self.store.runs.waiting(instance.id))

    def can_start(self, instance: Instance) -> bool:
        return self.dispatcher.hosts.provider(instance.provider).can_start

    def command(
        self, kind: str, instances: Iterable[Instance], why: str, initiated_by: str, recipes: tuple[str, ...] = ()
    ) -> Command:
        """`instances` none: the whole stack."""
        on = ",".join(instance.name for instance in instances) or None
        return Command(
            kind, self.stack.name, on, recipes=recipes, comment=why, initiated_by=initiated_by, lock_wait=LOCK_SECONDS
        )
