"""Fetches what the agents have gathered, once a minute, over the connections that the server keeps open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cookline.control.lifecycle.collect import Collected, collect, link_of
from cookline.control.stack.revision import Revision
from cookline.control.stack.secret_resolver import Resolver
from cookline.errors import CooklineError

if TYPE_CHECKING:
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.lifecycle.timers.tick import Tick
    from cookline.control.server.sink import Put
    from cookline.control.store.instances import Instance

# The agents sample once a minute; more often would find nothing new (DESIGN section 7).
INTERVAL_SECONDS = 60.0
# Until a first host has come online: how often to look whether one has.
FIRST_SECONDS = 5.0
AT_ONCE = 20
# States in which a host is up and its agent may be spoken to.
LISTENING = frozenset({"online", "setup_failed", "running_setup", "connection_lost"})


class Collector:
    """Collects from every host of every stack; `put` is the embedded sink, used where a stack names no endpoint.

    `tick` is told of each host that was asked, so that it knows who is silent.
    """

    def __init__(self, dispatcher: Dispatcher, put: Put, log: Callable[[str], None], tick: Tick | None = None) -> None:
        self.dispatcher, self.put, self.log, self.tick = dispatcher, put, log, tick
        self._sinks: dict[tuple[str, int], tuple[Put, str, float]] = {}
        self._errors: dict[str, str | None] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._interval()):
            self.collect_all()

    def _interval(self) -> float:
        """Seconds: as often as the stack with the shortest metric period samples, at most a minute apart."""
        periods = [period for _, _, period in self._sinks.values()]
        return max(1.0, min([INTERVAL_SECONDS, *periods])) if periods else FIRST_SECONDS

    def collect_all(self) -> list[Collected]:
        store = self.dispatcher.store
        instances = [each for stack in store.revisions.stacks() for each in self._listening(stack)]
        if self.tick is not None:
            self.tick.silence.keep({each.id for each in instances})
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="collect") as threads:
            return list(threads.map(self.collect_one, instances))

    def _listening(self, stack: str) -> list[Instance]:
        store = self.dispatcher.store
        return [each for each in store.instances.of(store.revisions.stack_id(stack)) if each.state in LISTENING]

    def collect_one(self, instance: Instance) -> Collected:
        """What one agent has gathered. Never raises: what went wrong is in the result, and logged."""
        try:
            put, namespace, _ = self._sink(instance)
            collected = collect(self.dispatcher, instance, put, namespace)
        except CooklineError as error:
            collected = Collected(instance.name, error=error.message, link=link_of(error))
        except Exception as error:  # one host or sink must not end the collecting of all others
            collected = Collected(instance.name, error=f"{type(error).__name__}: {error}", link="refused")
        self._tell(instance, collected.error)
        if self.tick is not None:
            self.tick.heard(instance, collected)
        return collected

    def _tell(self, instance: Instance, error: str | None) -> None:
        """Log what is new: a host that is away is asked every minute for as long as it takes."""
        before = self._errors.get(instance.id)
        if error != before:
            self.log(f"{instance.name}: {error or 'answers again'}")
        self._errors[instance.id] = error

    def _sink(self, instance: Instance) -> tuple[Put, str, float]:
        """Where this instance's metrics go, their namespace, and the seconds between two samples."""
        store = self.dispatcher.store
        stack = store.revisions.name_of(instance.stack_id)
        key = (stack, store.revisions.newest(stack))
        if key not in self._sinks:
            metrics = Revision.load(store.revisions.get(*key).content).stack.metrics
            put = self.put
            if metrics.endpoint is not None:
                from cookline.control.server.sink import forwarder

                resolver = Resolver(store.directory)
                keys = (resolver.resolve(metrics.access_key), resolver.resolve(metrics.secret_key))
                put = forwarder(metrics.endpoint, metrics.region, *keys)
            self._sinks = {each: sink for each, sink in self._sinks.items() if each[0] != stack}
            self._sinks[key] = (put, metrics.namespace, metrics.period)
        return self._sinks[key]
