"""Hosts that are not there: they answer runs from memory, and fail, dawdle, cut the line or lie when told to.

    transport = DummyTransport()
    transport.host("web1").outcome = "failed"
    pool = Pool({"dummy": transport})

A dummy keeps what a host keeps: the journal of each run, which goes on while nobody listens, and each attempt is made once.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from cookline.control.transport.base import Connection, LinkLost, Target
from cookline.errors import AuthenticationError, HostileOutput, HostKeyError, Unreachable
from cookline.protocol import MAX_LINE_BYTES, PROTOCOL, encode

# How soon a reader sees that the link was cut or the run cancelled.
GLANCE_SECONDS = 0.02

Message = dict[str, Any]
Script = Callable[[Message], Iterable[Message]]


@dataclass
class DummyHost:
    """One host's knobs, and what it has seen.

    unreachable    sentence with which connecting fails; `rejects_login` and `changed_key` likewise
    outcome        how runs end; `reason` and `error` go with it
    resources      how many resources a run has; all change in the first run of a set of recipes, none afterwards
    script         events of a run (without run_started and run_finished) from its request, in place of `resources`
    seconds        how long a run takes; its events are spread over that time
    refuses        {"reason": .., "error": ..} in place of a run
    cut_after      the link is lost after so many lines of a channel; each number serves once
    away           while set, connecting fails and open links are lost
    hostile        raw lines in place of the answer to the next operation; b"" is the end of the stream
    lacks_trees    asks for trees that it has not received yet
    records, findings, facts   answers to collect, drift and facts; `brief` the facts that a run reports
    requests       every run request that was executed, in order; `journals` their lines by run id
    """

    name: str
    unreachable: str | None = None
    rejects_login: bool = False
    changed_key: bool = False
    outcome: str = "successful"
    reason: str | None = None
    error: str | None = None
    resources: int = 3
    script: Script | None = None
    seconds: float = 0.0
    refuses: Message | None = None
    cut_after: deque[int] = field(default_factory=deque)
    away: bool = False
    hostile: list[bytes] | None = None
    lacks_trees: bool = False
    records: list[Message] = field(default_factory=list)
    findings: list[Message] = field(default_factory=list)
    facts: Message = field(default_factory=dict)
    brief: Message = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)
    journals: dict[str, DummyJournal] = field(default_factory=dict)
    trees: set[str] = field(default_factory=set)
    contents: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0
    converged: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, request: Message) -> DummyJournal:
        """The journal of this run; a run that is known already is not made again."""
        with self.lock:
            known = self.journals.get(request["run"])
            if known is None:
                known = self.journals[request["run"]] = DummyJournal(self._events(request), self.seconds)
                self.requests.append(request)
            return known

    def _events(self, request: Message) -> list[Message]:
        run, apply = request["run"], request.get("apply", True)
        body = list(self.script(request)) if self.script else self._resources(request)
        if apply and self.outcome == "successful":
            self.converged.add(str(request["recipes"]))
        kinds = ("unchanged", "changed", "failed", "skipped") if apply else ("will_change", "will_not", "cannot_know")
        totals = {kind: sum(event["kind"] == kind for event in body) for kind in kinds}
        started = {
            "kind": "run_started",
            "run": run,
            "attempt": 1,
            "at": time.time(),
            "boot": "dummy",
            "instance": request["instance"],
            "event": request["event"],
            "recipes": request["recipes"],
            "apply": apply,
            "carried": [],
            "facts": self.brief,
        }
        finished = {
            "kind": "run_finished",
            "run": run,
            "outcome": self.outcome,
            "reason": self.reason,
            "error": self.error,
            "totals": totals,
            "owed": [],
            "mismatches": [],
            "slowest": [{name: each[name] for name in ("name", "seconds")} for each in body if "name" in each][:10],
            "seconds": self.seconds,
        }
        return [{**event, "seq": number} for number, event in enumerate([started, *body, finished])]

    def _resources(self, request: Message) -> list[Message]:
        known = str(request["recipes"]) in self.converged
        kind = ("unchanged" if known else "changed") if request.get("apply", True) else ("will_not" if known else "will_change")
        recipe = (request["recipes"] or ["none"])[0]
        return [
            {"kind": kind, "resource": "File", "name": f"/dummy/{number}", "recipe": recipe, "line": number + 1, "seconds": 0.0}
            for number in range(self.resources)
        ]


class DummyJournal:
    """The lines of one run, each with the moment at which it is written."""

    def __init__(self, events: list[Message], seconds: float) -> None:
        begun = time.monotonic()
        step = seconds / max(1, len(events) - 1)
        self.lines = [(begun + number * step, encode(event)) for number, event in enumerate(events)]

    def cancel(self) -> None:
        """End the run now: what is not written yet is left out."""
        now = time.monotonic()
        last = self.lines[-1][1].replace(b'"outcome":"successful"', b'"outcome":"skipped"')
        written = [line for line in self.lines[:-1] if line[0] <= now]
        last = last.replace(f'"seq":{len(self.lines) - 1}}}'.encode(), f'"seq":{len(written)}}}'.encode())
        self.lines = [*written, (now, last)]

    def at(self, offset: int) -> tuple[float, bytes] | None:
        """The line that begins at or after a byte offset, and when it is written; None after the last."""
        position = 0
        for due, line in self.lines:
            if position >= offset:
                return due, line
            position += len(line)
        return None


class DummyTransport:
    """`hosts` by instance name; an instance that is not there yet becomes a good host when it is first connected to.

    A number in Target.options under the name of a knob (seconds, resources) is set on the host.
    """

    name = "dummy"

    def __init__(self, *, connect_seconds: float = 0.0) -> None:
        self.hosts: dict[str, DummyHost] = {}
        self.connect_seconds = connect_seconds
        self._lock = threading.Lock()

    def host(self, name: str) -> DummyHost:
        with self._lock:
            return self.hosts.setdefault(name, DummyHost(name))

    def connect(self, target: Target) -> Connection:
        host = self.host(target.instance)
        for knob, value in target.options.items():
            setattr(host, knob, value)
        if self.connect_seconds:
            time.sleep(self.connect_seconds)
        if host.unreachable or host.away:
            raise Unreachable(f"{host.name}: {host.unreachable or 'does not answer'}", hint="the dummy was told so")
        if host.changed_key:
            raise HostKeyError(f"the host key of {host.name} has changed", hint=f"cookline trust {host.name}")
        if host.rejects_login:
            raise AuthenticationError(f"{host.name} does not let {target.user} in", hint="the dummy was told so")
        host.connections += 1
        return DummyConnection(replace(target, user=target.user or "root", port=target.port or 22), host)


class DummyConnection:
    def __init__(self, target: Target, host: DummyHost) -> None:
        self.target, self.host = target, host
        self._open = True

    def execute(self, command: str) -> DummyChannel:
        if not self.alive():
            raise LinkLost(f"the connection to {self.host.name} broke")
        return DummyChannel(self)

    def cut(self) -> None:
        self._open = False

    def alive(self) -> bool:
        return self._open and not self.host.away

    def close(self) -> None:
        self._open = False


class DummyChannel:
    """See base.Channel. The host's program is a generator that yields how much input it waits for: a line (0) or n bytes."""

    def __init__(self, connection: DummyConnection) -> None:
        self.connection, self.host = connection, connection.host
        self._output: deque[bytes] = deque()
        self._followed: DummyJournal | None = None
        self._offset = 0
        self._input = b""
        self._ended = False
        self._lines = 0
        self._cut_after = self.host.cut_after.popleft() if self.host.cut_after else None
        self._program = self._host_program()
        self._wanted = next(self._program)

    # -- the controller's side -----------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self._check_link()
        if self._ended:
            raise BrokenPipeError("the command on the host has ended")
        self._input += data
        while not self._ended:
            end = self._wanted or self._input.find(b"\n") + 1
            if not end or len(self._input) < end:
                return
            piece, self._input = self._input[:end], self._input[end:]
            try:
                self._wanted = self._program.send(piece)
            except StopIteration:
                self._ended = True

    def readline(self, timeout: float | None = None) -> bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._lines == self._cut_after:
            self.connection.cut()
        while True:
            self._check_link()
            due, line = self._next()
            wait = due - time.monotonic()
            if wait <= 0:
                break
            left = wait if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            time.sleep(min(wait, left, GLANCE_SECONDS))
        self._taken(line)
        return line

    def _next(self) -> tuple[float, bytes]:
        """The next line and when it is there; b"" at the end."""
        if self._output:
            return 0.0, self._output[0]
        if self._followed is not None:
            return self._followed.at(self._offset) or (0.0, b"")
        return (0.0, b"") if self._ended else (math.inf, b"")

    def _taken(self, line: bytes) -> None:
        if self._output:
            self._output.popleft()
        elif self._followed is not None:
            self._offset += len(line)
        self._lines += 1
        if len(line) > MAX_LINE_BYTES:
            raise HostileOutput(f"{self.host.name} sent a line without end (over {MAX_LINE_BYTES} bytes)")

    def _check_link(self) -> None:
        if not self.connection.alive():
            raise LinkLost(f"the connection to {self.host.name} broke")

    def is_open(self) -> bool:
        return not self._ended and self.connection.alive()

    def close_input(self) -> None:
        self._ended = True

    def exit_status(self, timeout: float = 10.0) -> int:
        return 0 if self._ended else -1

    def errors(self) -> str:
        return ""

    def close(self) -> None:
        self._ended = True

    # -- the host's side -----------------------------------------------------------------------------------------------

    def _say(self, message: Message) -> None:
        self._output.append(encode(message))

    def _host_program(self) -> Generator[int, bytes, None]:
        import json

        self._say({"kind": "hello", "protocol": PROTOCOL, "python": "3.11.2", "machine": "x86_64"})
        message = json.loads((yield 0))
        while message["operation"] == "prepare":
            message = json.loads((yield 0))
        if self.host.hostile is not None:
            self._output.extend(self.host.hostile)
            self.host.hostile = None
            while True:
                yield 0
        elif message["operation"] == "run" and self.host.refuses and message["request"]["run"] not in self.host.journals:
            self._say({"kind": "refused", **self.host.refuses})
        elif message["operation"] == "run":
            missing = sorted(set(message["request"]["trees"].values()) - self.host.trees) if self.host.lacks_trees else []
            if missing:
                yield from self._land(missing)
            self._followed = self.host.execute(message["request"])
        else:
            self._answer(message)

    def _land(self, missing: list[str]) -> Generator[int, bytes, None]:
        import json

        self._say({"kind": "need", "trees": missing})
        wanted: list[str] = []
        for _ in missing:
            wanted += [entry[2] for entry in json.loads((yield 0))["files"]]
        lacking = [content for content in dict.fromkeys(wanted) if content not in self.host.contents]
        self._say({"kind": "lacks", "files": lacking})
        sizes = json.loads((yield 0))["sizes"] if lacking else []
        for content, size in zip(lacking, sizes, strict=True):
            self.host.contents[content] = (yield size) if size else b""
        self.host.trees.update(missing)

    def _answer(self, message: Message) -> None:
        operation, journal = message["operation"], self.host.journals.get(str(message.get("run")))
        if operation == "attach" and journal is not None:
            self._followed, self._offset = journal, message["offset"]
        elif operation == "attach":
            self._say({"kind": "refused", "reason": "unknown_run", "error": f"this host knows no run {message['run']}"})
        elif operation == "cancel":
            if journal is not None:
                journal.cancel()
            self._say({"kind": "answer", "cancelled": journal is not None})
        elif operation == "collect":
            self._collect(message)
        elif operation == "drift":
            for finding in self.host.findings:
                self._say({"kind": "finding", "finding": finding})
            self._say({"kind": "answer", "findings": len(self.host.findings)})
        elif operation == "facts":
            self._say({"kind": "answer", "facts": self.host.facts})
        else:
            self._say({"kind": "answer", "lock": None, "runs": sorted(self.host.journals), "owed": [], "agent": None})

    def _collect(self, message: Message) -> None:
        self.host.records = [record for record in self.host.records if record["seq"] > message["acknowledge"]]
        records = self.host.records[: message["limit"]]
        for record in records:
            self._say({"kind": "record", "record": record})
        self._say({"kind": "answer", "records": len(records), "owed": []})
