"""One look at every stack: whatever is due becomes a command, which then goes its way as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cookline.control.lifecycle.command import Command
from cookline.control.lifecycle.timers import correction, keepalive, load, pushed, weekly
from cookline.control.lifecycle.timers.clock import Clock
from cookline.control.lifecycle.timers.scene import Scene
from cookline.control.lifecycle.timers.silence import Silence

if TYPE_CHECKING:
    from cookline.control.lifecycle.collect import Collected
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.store.instances import Instance


class Tick:
    """Called again and again by the server. `averages` is where layers' metrics are read; without it no layer scales."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        averages: load.Averages | None = None,
        clock: Clock | None = None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.dispatcher, self.averages, self.log = dispatcher, averages, log
        self.clock = clock or Clock()
        self.silence = Silence(self.clock)

    def heard(self, instance: Instance, collected: Collected) -> None:
        """A look at a host has ended: for the collector to tell."""
        store = self.dispatcher.store
        stack = Scene.of(self.dispatcher, store.revisions.name_of(instance.stack_id), self.clock.now()).stack
        self.silence.look(store.instances.get(instance.id), collected, stack.keepalive)

    def __call__(self) -> list[str]:
        """The ids of the commands that were begun. Never raises: one stack's trouble is logged, the others go on."""
        begun: list[str] = []
        for stack in self.dispatcher.store.revisions.stacks():
            for name, check in self._checks():
                try:
                    scene = Scene.of(self.dispatcher, stack, self.clock.now())
                    begun += [self._begin(command) for command in check(scene)]
                except Exception as error:
                    self.log(f"{stack}: {name}: {error}")
        try:
            self.dispatcher.tidy()
        except Exception as error:
            self.log(f"tidying up: {error}")
        return begun

    def _checks(self) -> Iterator[tuple[str, Callable[[Scene], list[Command]]]]:
        """Each sees what the one before it began."""
        yield "keepalive", lambda scene: keepalive.check(scene, self.silence)
        yield "push", pushed.check
        yield "schedule", weekly.check
        yield "correction", correction.check
        averages = self.averages
        if averages is not None:
            yield "scaling", lambda scene: load.check(scene, averages)

    def _begin(self, command: Command) -> str:
        self.log(f"{command.stack}: {command.kind} {command.on or 'everybody'}, {command.initiated_by}: {command.comment}")
        return self.dispatcher.begin(command)
