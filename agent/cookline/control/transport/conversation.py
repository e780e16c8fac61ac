"""What a controller can ask of a host: run, attach, cancel, collect, drift, facts, status.

A run is followed over lost links: the conversation connects again and goes on at the byte of the journal where it stopped. The
same run is never started twice; a host that knows the run's id follows it instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from cookline.control.transport.base import LinkLost, Target
from cookline.control.transport.bootstrap import install_python
from cookline.control.transport.bundle import Bundle
from cookline.control.transport.bundle import bundle as current_bundle
from cookline.control.transport.diagnosis import UnknownRun
from cookline.control.transport.pool import Pool
from cookline.control.transport.session import Message, Session, monotonic_left
from cookline.control.transport.trees import Trees, TreeSet
from cookline.errors import BecomeError, HostileOutput, HostKeyError, PythonMissing, Unreachable
from cookline.protocol import MAX_RUN_BYTES, RunRequest

# A host that reboots is back within a minute or two; five leave room for a file system check.
RECONNECT_SECONDS = 300.0
BACK_OFF_SECONDS = (0.1, 0.3, 1.0, 2.0, 5.0)
# An operation other than a run: drift reads everything that was declared.
OPERATION_SECONDS = 600.0
# A follower that ends without a word this often, without one event between, has a reason that trying again does not mend.
MAX_SILENT_ENDS = 3


class GivenUp(Unreachable):
    """A run was started, and its end cannot be waited for any longer; it may go on."""


# Not mended by waiting.
FINAL = (HostKeyError, BecomeError, PythonMissing, GivenUp)

OnEvent = Callable[[Message], None]
OnLink = Callable[[str], None]


class Conversation:
    """The operations on one host; connections come from `pool` and stay there. Safe to use from several threads.

    reconnect_for   seconds that a lost host is tried for before a run is given up as Unreachable
    on_link         is told, in a sentence, that the link is lost or there again
    """

    def __init__(
        self,
        pool: Pool,
        target: Target,
        bundle: Bundle | None = None,
        *,
        reconnect_for: float = RECONNECT_SECONDS,
        on_link: OnLink | None = None,
    ) -> None:
        self.pool, self.target = pool, target
        self.bundle = bundle or current_bundle()
        self.reconnect_for = reconnect_for
        self.on_link = on_link or (lambda text: None)
        self.name = target.instance

    # -- runs ----------------------------------------------------------------------------------------------------------

    def run(self, request: RunRequest, trees: Trees, on_event: OnEvent, deadline: float | None = None) -> Message:
        """Start a run and follow it to its end; returns its run_finished.

        `on_event` gets each event once, in order; what it raises stops the following, not the run. `deadline` is the number of
        seconds to follow at most. Raises GivenUp (the run may go on), Unreachable (it was not started), HostStateError, Locked,
        HostileOutput.
        """
        return _Following(self, request.run, on_event, deadline, request=request, trees=trees).to_the_end()

    def attach(self, run: str, on_event: OnEvent, *, offset: int = 0, deadline: float | None = None) -> Message:
        """Follow a run that was started before, from a byte offset of its journal. Raises UnknownRun as well."""
        return _Following(self, run, on_event, deadline, offset=offset).to_the_end()

    # -- the rest ------------------------------------------------------------------------------------------------------

    def cancel(self, run: str) -> Message:
        """Ask a run to stop before its next resource; returns the host's answer."""
        return self._ask({"operation": "cancel", "run": run})[0]

    def collect(self, acknowledge: int, limit: int) -> tuple[Message, list[Message]]:
        """The answer and up to `limit` records of the agent's spool; the host drops those up to `acknowledge` first."""
        answer, messages = self._ask({"operation": "collect", "acknowledge": acknowledge, "limit": limit})
        return answer, [message["record"] for message in messages if isinstance(message.get("record"), dict)]

    def drift(self) -> tuple[Message, list[Message]]:
        """The answer and the findings of a check of everything that was declared."""
        answer, messages = self._ask({"operation": "drift"})
        return answer, [message["finding"] for message in messages if isinstance(message.get("finding"), dict)]

    def facts(self, names: Sequence[str] = (), trees: Mapping[str, str] | None = None) -> Message:
        """The facts of these names, or all; `trees` are cookbooks as in a run request, whose own facts are read where the
        host has them already. The answer has `facts`, `errors` by name, and `cookbooks` that have facts."""
        return self._ask({"operation": "facts", "names": list(names), "trees": dict(trees or {})})[0]

    def status(self) -> Message:
        return self._ask({"operation": "status"})[0]

    def uninstall(self) -> None:
        """Have the host remove its agent and everything that cookline keeps there, this very bundle included."""
        with self.pool.leaving(self.target):
            session = self.session()
            try:
                session.send({"operation": "uninstall"})
                while session.receive(OPERATION_SECONDS)["kind"] != "answer":
                    pass
            finally:
                session.close()
                self.pool.drop(self.target)

    def hello(self) -> Message:
        """Connect, put the bundle there when it is missing, and return what the host says of itself."""
        session = self.session()
        session.close()
        return session.hello

    def _ask(self, operation: Message) -> tuple[Message, list[Message]]:
        """One operation; asked a second time when a connection that was kept open turned out to be dead."""
        try:
            return self._ask_once(operation)
        except LinkLost:
            self.pool.drop(self.target)
            return self._ask_once(operation)

    def _ask_once(self, operation: Message) -> tuple[Message, list[Message]]:
        session = self.session()
        try:
            session.send(operation)
            messages: list[Message] = []
            deadline = time.monotonic() + OPERATION_SECONDS
            while True:
                message = session.receive(monotonic_left(deadline))
                if message["kind"] == "answer":
                    return message, messages
                messages.append(message)
        finally:
            session.close()
            self.pool.prepare(self.target, self.bundle)

    def session(self) -> Session:
        """A new command on the host that has said hello. Installs python3 first where the target says so and it is missing."""
        try:
            return self._session()
        except PythonMissing:
            if self.target.bootstrap is None:
                raise
            self.on_link(f"{self.name}: installing python3")
            install_python(self.pool.connection(self.target))
            return self._session()

    def _session(self) -> Session:
        try:
            return self.pool.session(self.target, self.bundle)
        except LinkLost:
            self.pool.drop(self.target)
            return self.pool.session(self.target, self.bundle)


class _Following:
    """One run on its way to its end, over as many sessions as it takes."""

    def __init__(
        self,
        conversation: Conversation,
        run: str,
        on_event: OnEvent,
        deadline: float | None,
        *,
        request: RunRequest | None = None,
        trees: Trees | None = None,
        offset: int = 0,
    ) -> None:
        self.conversation, self.run, self.on_event = conversation, run, on_event
        self.request, self.trees = request, trees or TreeSet()
        self.offset = offset
        self.sequence: int | None = None if offset else 0
        self.sent = request is None
        self.connected = False
        self.silent_ends = 0
        self.deadline = None if deadline is None else time.monotonic() + deadline

    @property
    def name(self) -> str:
        return self.conversation.target.instance

    def to_the_end(self) -> Message:
        lost_since: float | None = None
        tries = 0
        while True:
            before = self.offset
            try:
                finished = self._one_session()
                if finished is not None:
                    return finished
                reason: Exception = Unreachable(f"the follower on {self.name} ended")
            except UnknownRun:
                if self.request is None or self.offset:
                    raise
                self.sent, reason = False, Unreachable(f"the run had not begun on {self.name}")
            except Unreachable as error:
                if isinstance(error, FINAL) or not (self.connected or isinstance(error, LinkLost)):
                    raise
                reason = error
            if self.offset > before:
                lost_since, tries = None, 0
            lost_since = lost_since or time.monotonic()
            self._pause(reason, lost_since, tries)
            tries += 1

    def _pause(self, reason: Exception, lost_since: float, tries: int) -> None:
        """Wait before the next try, or give up. The first try is made at once."""
        conversation = self.conversation
        conversation.pool.drop(conversation.target)
        wait = BACK_OFF_SECONDS[min(tries, len(BACK_OFF_SECONDS)) - 1] if tries else 0.0
        if time.monotonic() + wait - lost_since > conversation.reconnect_for or self._is_over(wait):
            raise self._gone(reason)
        if tries == 0:
            conversation.on_link(f"{self.name}: {str(reason).splitlines()[0]}; connecting again")
        time.sleep(wait)

    def _is_over(self, wait: float = 0.0) -> bool:
        return self.deadline is not None and time.monotonic() + wait >= self.deadline

    def _gone(self, reason: Exception) -> Unreachable:
        if not self.sent:
            return reason if isinstance(reason, Unreachable) else Unreachable(str(reason))
        return GivenUp(
            f"{self.name}: {str(reason).splitlines()[0]}; run {self.run} may still go on there",
            hint=f"cookline attach {self.run}",
        )

    def _one_session(self) -> Message | None:
        """Start or attach, and follow; the run_finished, or None when the stream ended without it."""
        session = self.conversation.session()
        try:
            if self.connected:
                self.conversation.on_link(f"{self.name}: connected again")
            self.connected = True
            self._open(session)
            return self._follow(session)
        finally:
            session.close()
            self.conversation.pool.prepare(self.conversation.target, self.conversation.bundle)

    def _open(self, session: Session) -> None:
        if self.sent or self.request is None:
            session.send({"operation": "attach", "run": self.run, "offset": self.offset})
            return
        request = self.request.to_dict()
        request["bundle"] = self.conversation.bundle.hashes.get(str(session.hello.get("machine")), "")
        session.send({"operation": "run", "request": request})
        self.sent = True

    def _follow(self, session: Session) -> Message | None:
        while True:
            if self._is_over():
                raise self._gone(TimeoutError("it takes longer than this command waits"))
            try:
                event, size = session.receive_sized(monotonic_left(self.deadline), run=self.run)
            except TimeoutError:
                continue
            if event is None:
                self._ended(session)
                return None
            if event["kind"] == "need":
                offered: Iterable[str] = self.request.trees.values() if self.request else ()
                session.land(event, offered, self.trees)
                continue
            self._take(event, size)
            if event["kind"] == "run_finished":
                return event

    def _take(self, event: Message, size: int) -> None:
        sequence = event.get("seq")
        if type(sequence) is not int or (self.sequence is not None and sequence != self.sequence):
            raise HostileOutput(f"{self.name} sent event {str(sequence)[:20]} of run {self.run}; {self.sequence} was next")
        self.sequence = sequence + 1
        self.offset += size
        self.silent_ends = 0
        if self.offset > MAX_RUN_BYTES:
            raise HostileOutput(f"run {self.run} on {self.name} wrote more than {MAX_RUN_BYTES} bytes")
        self.on_event(event)

    def _ended(self, session: Session) -> None:
        self.silent_ends += 1
        if self.silent_ends >= MAX_SILENT_ENDS:
            raise self._gone(session.ended_error())
