"""The host's end of the wire: says hello, takes one operation, answers it (see protocol.py)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from typing import Any, BinaryIO, Callable, Dict

from cookline.errors import CooklineError
from cookline.host import paths
from cookline.host.run import journal as journals
from cookline.protocol import PROTOCOL, RunRequest, encode

Message = Dict[str, Any]


class Wire:
    """Standard input and output of this process, as lines and bytes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.source, self.sink = source, sink

    def read(self) -> Message:
        import json

        message = json.loads(self.source.readline() or b"{}")
        return message if isinstance(message, dict) else {}

    def write(self, message: Message) -> None:
        self.sink.write(encode(message))
        self.sink.flush()


def main() -> None:
    """Never raises: answers {"kind": "refused", "reason": WORD, "error": SENTENCE, "hint": NEXT STEP} instead."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the controller has gone: this end has nothing left to do
    wire = Wire(sys.stdin.buffer, sys.stdout.buffer)
    try:
        os.makedirs(paths.STATE_DIRECTORY, mode=0o700, exist_ok=True)
        python = "{}.{}.{}".format(*sys.version_info[:3])
        wire.write({"kind": "hello", "protocol": PROTOCOL, "python": python, "machine": os.uname().machine})
        message = wire.read()
        while message.get("operation") == "prepare":
            _prepare()
            message = wire.read()
        OPERATIONS.get(str(message.get("operation")), _unknown)(wire, message)
    except CooklineError as error:
        wire.write({"kind": "refused", "reason": "host", "error": error.message, "hint": error.hint})
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full:
            hint = f"free some space below {paths.STATE_DIRECTORY} and try again"
            wire.write({"kind": "refused", "reason": "space", "error": "the disk of the host is full", "hint": hint})
        else:
            wire.write({"kind": "refused", "reason": "io", "error": str(error), "hint": None})


def _prepare() -> None:
    """Load what a run needs while there is time; the controller keeps this process ready for its next operation."""
    from cookline.host import landing  # noqa: F401
    from cookline.host.run import converge, follow, launch  # noqa: F401


def _run(wire: Wire, message: Message) -> None:
    from cookline.host.landing import land

    request = RunRequest.from_dict(message["request"])
    land(sorted(set(request.trees.values())), wire.source.readline, wire.source.read, wire.write)
    directory = journals.create(request.run, apply=request.apply)
    if directory is None:
        _follow(wire, request.run, 0)
        return
    from cookline.host.run.aside import compile_aside
    from cookline.host.run.follow import follow
    from cookline.host.run.launch import detached

    if request.apply:
        compile_aside()

    def work(wake: int) -> None:
        from cookline.host.run.converge import converge

        converge(request, directory, wake)

    follow(directory, wire.sink, pipe=detached(request.run, directory, work))


def _attach(wire: Wire, message: Message) -> None:
    _follow(wire, str(message["run"]), int(message.get("offset", 0)))


def _follow(wire: Wire, run: str, offset: int) -> None:
    from cookline.host.run.follow import follow

    directory = journals.find_run(os.path.basename(run))
    if directory is None:
        wire.write({"kind": "refused", "reason": "unknown_run", "error": f"this host knows no run {run}", "hint": None})
        return
    follow(directory, wire.sink, offset=offset)


def _cancel(wire: Wire, message: Message) -> None:
    directory = journals.find_run(os.path.basename(str(message["run"])))
    if directory is not None:
        open(directory + "/cancel", "wb").close()
    wire.write({"kind": "answer", "cancelled": directory is not None})


def _collect(wire: Wire, message: Message) -> None:
    from cookline.host.resident.spool import collect

    count = 0
    for record in collect(int(message.get("acknowledge", 0)), int(message.get("limit", 10_000))):
        wire.sink.write(encode({"kind": "record", "record": record}))
        count += 1
    wire.write({"kind": "answer", "records": count, "now": time.time(), "owed": _owed()})


def _drift(wire: Wire, message: Message) -> None:
    from cookline.host.resident.drift import check

    findings = check("manual")
    for finding in findings:
        wire.sink.write(encode({"kind": "finding", "finding": finding}))
    wire.write({"kind": "answer", "findings": len(findings)})


def _facts(wire: Wire, message: Message) -> None:
    """Those of the named groups, or all; a cookbook's own when its tree is here."""
    from cookline.errors import CooklineError
    from cookline.host.facts import READERS, Facts
    from cookline.host.run import origin
    from cookline.host.run.cookbook_facts import CookbookFacts
    from cookline.host.run.cookbooks import Cookbooks
    from cookline.host.system import System

    trees = {name: tree for name, tree in dict(message.get("trees") or {}).items() if os.path.isdir(f"{paths.TREES}/{tree}")}
    own = CookbookFacts(Cookbooks(trees))
    facts = Facts(System(apply=False), own)
    found, errors = {}, {}
    for name in message.get("names") or [*READERS, *own.names()]:
        try:
            value = facts.read(name)
            found[name] = {each: facts.read(f"{name}.{each}") for each in value.names} if name in own.names() else value
        except CooklineError as error:
            errors[name] = str(error)
        except Exception as error:
            errors[name] = origin.describe(error)
    wire.write({"kind": "answer", "facts": found, "errors": errors, "cookbooks": own.names()})


def _status(wire: Wire, message: Message) -> None:
    from cookline.host.resident import heartbeat
    from cookline.host.run.lock import holder_of_lock

    runs = []
    with contextlib.suppress(FileNotFoundError):
        runs = sorted(os.listdir(paths.RUNS))
    wire.write({"kind": "answer", "lock": holder_of_lock(), "runs": runs, "owed": _owed(), "agent": heartbeat.read()})


def _uninstall(wire: Wire, message: Message) -> None:
    from cookline.host.resident.install import uninstall

    uninstall()
    wire.write({"kind": "answer", "uninstalled": True})


def _owed() -> "list[Dict[str, Any]]":
    from cookline.host.run import owed

    return [{"action": debt["action"], "because": debt["because"], "run": debt["run"]} for debt in owed.of_host()]


def _unknown(wire: Wire, message: Message) -> None:
    error = f"unknown operation {message.get('operation')!r}"
    wire.write({"kind": "refused", "reason": "protocol", "error": error, "hint": None})


OPERATIONS: Dict[str, Callable[[Wire, Message], None]] = {
    "run": _run,
    "attach": _attach,
    "cancel": _cancel,
    "collect": _collect,
    "drift": _drift,
    "facts": _facts,
    "status": _status,
    "uninstall": _uninstall,
}

if __name__ == "__main__":
    main()
