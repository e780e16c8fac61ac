"""One attempt of one run, from the lock to `run_finished`, in the detached process."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Dict, List, Optional

from cookline.host import paths
from cookline.host.facts import brief
from cookline.host.run import journal as journals
from cookline.host.run import lock, origin, owed, resume, scratch, snapshots
from cookline.host.run.cookbooks import Cookbooks, split
from cookline.host.run.engine import Cancelled, Engine, Rebooting, Stopped
from cookline.host.run.follow import close_dead
from cookline.host.run.guard import PlanGuard
from cookline.host.run.masking import Masker
from cookline.host.run.node import Node
from cookline.host.system import System
from cookline.protocol import RunRequest


def converge(request: RunRequest, directory: str, wake: Optional[int] = None, attempt: Optional[resume.Attempt] = None) -> None:
    """Run the request and journal it; every path ends in one `run_finished`, or in a reboot after which the run goes on."""
    os.umask(0o022)
    os.chdir("/")
    origin.frames = request.verbose
    book = journals.Journal(directory, Masker(request.secrets), wake)
    if attempt is not None:
        book.go_on()
        if not resume.take_back(directory):
            return
    begun = time.monotonic()
    host_lock = lock.HostLock()
    holder = {"run": request.run, "event": request.event, "stack": request.stack, "pid": os.getpid()}

    def on_wait(other: Dict[str, Any]) -> None:
        book.write({"kind": "waiting", "for": "lock", "holder": lock.describe(other)})

    def reserved() -> bool:
        return resume.awaited(journals.last_run(but=request.run))

    lock_wait = request.lock_wait if attempt is None else resume.RESUME_SECONDS
    if not host_lock.take(holder, lock_wait, on_wait, reserved):
        journals.mark_never_begun(directory)
        reason = f"the host is locked by {lock.describe(lock.holder_of_lock() or {})}"
        book.write(
            {"kind": "run_finished", "run": request.run, "outcome": "expired", "reason": reason, "totals": {}, "owed": []}
        )
        book.close()
        return
    try:
        end = _attempt(request, book, attempt or resume.Attempt())
        end["seconds"] = round(time.monotonic() - begun, 4)
        journals.prune()
        host_lock.ending(holder)
        book.write(end)
        book.sync()
    finally:
        host_lock.release()
        book.close()


def _attempt(request: RunRequest, book: journals.Journal, attempt: resume.Attempt) -> Dict[str, Any]:
    """All that happens under the lock; returns the `run_finished` event."""
    if request.apply:
        _close_earlier(request.run)
    if attempt.number == 1:
        carried = owed.of_host(but=request.run)
        book.write(_beginning(request, carried))
    else:
        carried = owed.unpaid(journals.read(book.directory))
        book.write({"kind": "attempt_started", "attempt": attempt.number, "at": time.time(), "boot": resume.boot_id()})
    engine: Optional[Engine] = None
    end: Dict[str, Any] = {"kind": "run_finished", "run": request.run, "outcome": "successful"}
    try:
        snapshots.accept(request) if request.apply else None
        engine = Engine(request, book, Cookbooks(request.trees), carried if request.apply else [])
        engine.index = attempt.index
        engine.system.known["rebooted"] = attempt.rebooted
        _recipes(request, engine)
        if request.apply:
            engine.pay_all()
    except Rebooting as error:
        assert engine is not None
        end.update(_reboot(request, book, engine, attempt, error.resource))
    except Stopped as error:
        end.update(outcome="failed", reason=error.message.split("\n")[0], error=error.message)
    except Cancelled as error:
        end.update(outcome=error.outcome, reason=error.message)
    except BaseException as error:
        text = origin.describe(error)
        end.update(outcome="failed", reason=text.split("\n")[0], error=text)
    end["owed"] = list(engine.owed.values()) if engine and request.apply else carried
    end["totals"] = _totals(engine.totals, attempt) if engine else {}
    if end["outcome"] == "failed":
        ran = engine.recipes if engine else []
        end["unprocessed"] = [recipe for recipe in request.recipes if "::".join(split(recipe)) not in ran]
    if engine is not None:
        end["slowest"] = engine.slowest()
        end["steps"] = engine.system.steps
        engine.scratch.close()
        if request.apply and os.path.isdir(paths.PLANS):
            from cookline.host.run.plans import mismatches

            book.flush()
            end.update(mismatches(request, book.directory))
        end.update(_remember(request, engine, end["outcome"]))
    return end


def _reboot(
    request: RunRequest, book: journals.Journal, engine: Engine, attempt: resume.Attempt, because: str
) -> Dict[str, Any]:
    """Reboot; returns only when that failed, with what `run_finished` says of it."""
    changed = attempt.changed + engine.totals.get("changed", 0)
    following = resume.Attempt(attempt.number + 1, [*attempt.rebooted, because], changed, engine.index)
    try:
        resume.prepare(request, book.directory, following)
        book.write({"kind": "attempt_finished", "attempt": attempt.number, "because": because})
        book.sync()
        resume.reboot()
    except Exception as error:
        resume.take_back(book.directory)
        text = origin.describe(error)
        return {"outcome": "failed", "reason": text.split("\n")[0], "error": text}
    return {}


def _totals(totals: Dict[str, int], attempt: resume.Attempt) -> Dict[str, int]:
    """Of the whole run: what earlier attempts changed is unchanged in the last."""
    if not attempt.changed:
        return totals
    unchanged = max(0, totals.get("unchanged", 0) - attempt.changed)
    return {**totals, "unchanged": unchanged, "changed": totals.get("changed", 0) + attempt.changed}


def _beginning(request: RunRequest, carried: List[owed.Debt]) -> Dict[str, Any]:
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return {
        "kind": "run_started",
        "run": request.run,
        "attempt": 1,
        "at": time.time(),
        "boot": boot,
        "instance": request.instance,
        "event": request.event,
        "recipes": request.recipes,
        "revision": request.revision,
        "snapshot": request.snapshot.get("number", 0),
        "apply": request.apply,
        "carried": carried,
        "facts": brief(System(apply=False)),
    }


def _close_earlier(run: str) -> None:
    """A run that died without an end gets its end before a new one begins."""
    directory = journals.last_run(but=run)
    if directory is not None and not journals.is_alive(directory):
        scratch.clear(directory)
        close_dead(directory)


def _recipes(request: RunRequest, engine: Engine) -> None:
    guard = None if request.apply else PlanGuard(engine.system)
    sys.dont_write_bytecode = not request.apply  # a plan writes nothing, not even what it has compiled
    try:
        if request.agent is not None and request.event == "setup":
            from cookline.host.resident import install

            engine.run_recipe("cookline::agent", install.recipe)
        if request.undo is not None:
            from cookline.host.run import before

            engine.run_recipe("cookline::undo", before.recipe(request.undo))
        for recipe in request.recipes:
            engine.run_recipe(recipe, _built_in(recipe, engine))
    finally:
        if guard is not None:
            guard.active = False
        else:
            engine.system.afterwards.end()
            engine.settle()


def _built_in(recipe: str, engine: Engine) -> Optional[Callable[[Node], None]]:
    if not recipe.startswith("cookline::"):
        return None
    from cookline.host.run import built_in

    return built_in.recipe(recipe, engine)


def _remember(request: RunRequest, engine: Engine, outcome: str) -> Dict[str, Any]:
    """Write what outlives the run: rendered templates and the drift inventory. A failure here is a note, not a lost run."""
    steps: List[Callable[[], None]] = [engine.templates.save]
    if request.apply and request.undo is None:  # what an undo puts back is nobody's declaration
        steps.append(lambda: _record_inventory(request, engine, complete=outcome == "successful"))
    notes: List[str] = []
    for step in steps:
        try:
            step()
        except Exception as error:
            notes.append(f"could not be remembered: {type(error).__name__}: {error}")
    return {"notes": notes} if notes else {}


def _record_inventory(request: RunRequest, engine: Engine, *, complete: bool) -> None:
    from cookline.host.resident import inventory

    declarations: Dict[str, Dict[str, Any]] = {}
    for name, entry in engine.declared.items():
        resource = entry["resource"]
        declarations[name] = {
            "kind": type(resource).__name__,
            "module": type(resource).__module__,
            "trees": engine.cookbooks.directories if type(resource).__module__.startswith("cookbooks.") else {},
            "declaration": resource.declaration(),
            "desired": entry["desired"],
            "paths": resource.watched_paths(),
            "recipe": entry["recipe"],
            "line": entry["line"],
            "sensitive": bool(resource.sensitive),
        }
    executed = engine.recipes if complete else []
    quiet = complete and set(engine.totals) <= {"unchanged", "skipped"}
    inventory.record_run(
        request.run, request.event, executed, declarations, app=request.app, secrets=request.secrets, quiet=quiet
    )
