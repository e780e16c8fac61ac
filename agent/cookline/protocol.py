"""What both wings say to each other: one exec on the host, newline-delimited JSON in both directions.

The controller runs one command on the host (`boot_command` in control/transport/bundle.py) and then speaks:

    host       {"kind": "need", "trees": [BUNDLE], "python": TAG}  only when the bundle itself is missing
    controller {"landing": SOURCE, "compiled": [[path, BYTES], ..], "packed": BYTES}
                                                               the landing code, then modules compiled for TAG, by zlib
    controller {"tree": .., "files": [..]}                     the manifest (see host/landing.py)
    host       {"kind": "lacks", "files": [SHA256, ..]}         the contents that it does not have yet
    controller {"sizes": [BYTES, ..]}                          then the raw bytes of those contents, in that order
    host       {"kind": "hello", "protocol": 1, ...}
    controller {"operation": "run", ...}                        one operation, one line
    host       {"kind": "need", "trees": [..]}                  cookbooks that are missing; answered as above
    host       events, one a line, until the operation's last event

Operations: run, attach, cancel, collect, drift, facts, status, uninstall; before one of them `prepare` loads what a run needs
and answers nothing. `run` and `attach` answer with the journal of the run, every line of which was in the host's journal before
it was printed. Their last event is `run_finished`.

A tree is a bundle or a cookbook: a manifest (list of [path, mode, sha256], sorted by path) whose own hash names it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from cookline.errors import HostileOutput

PROTOCOL = 1

# A line of a host's output: a unified diff is cut to 64 KB by the host, so an honest event stays far below this.
MAX_LINE_BYTES = 256 * 1024
# All of a run's output: 100,000 resources of the usual 500 bytes fit.
MAX_RUN_BYTES = 64 * 1024 * 1024
# Events nest at most: event -> changes -> change -> value of a structured field -> its items.
MAX_JSON_DEPTH = 16

EVENTS = ("setup", "configure", "deploy", "undeploy", "shutdown", "execute_recipes")

# How a targeted instance's part of a command ends; each targeted instance ends in exactly one of them.
OUTCOMES = ("successful", "failed", "skipped", "expired", "superseded", "unreachable")

# How one resource ends.
RESOURCE_OUTCOMES = ("unchanged", "changed", "failed", "skipped")
# How one resource ends in a plan.
PLAN_VERDICTS = ("will_change", "will_not", "cannot_know")

EVENT_KINDS = frozenset(
    {
        "run_started",  # run, attempt, at, boot, instance, event, recipes, apply, carried (owed by earlier runs)
        "attempt_finished",  # attempt, because: the host reboots, and the run goes on after it
        "attempt_started",  # attempt, at, boot
        "waiting",  # for: "lock" | "dpkg", holder: text
        "recipe_started",  # recipe
        "owed",  # owed: promised by a recipe in its own words (node.later)
        "started",  # resource, name, recipe, line, owed: written (and synced) before a change is made
        *RESOURCE_OUTCOMES,  # resource, name, recipe, line, seconds, changes, diff, reason, error, ignored
        *PLAN_VERDICTS,  # resource, name, recipe, line, changes, diff, reason
        "action_started",  # action, because
        "action_finished",  # action, outcome: changed | failed, error, seconds
        "log",  # level, text
        "run_finished",  # outcome, reason, error, totals, owed, unprocessed, mismatches, slowest, seconds
        # answers to operations other than run and attach
        "hello",
        "need",
        "lacks",
        "refused",
        "record",
        "finding",
        "answer",
    }
)


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces; what hashes are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(content: bytes) -> str:
    """sha256, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def tree_hash(manifest: Sequence[Sequence[Any]]) -> str:
    """The name of a tree: sha256 over its manifest of [path, mode, sha256], sorted by path."""
    return content_hash(canonical_json(sorted(list(entry) for entry in manifest)).encode())


class RunRequest:
    """Everything that one run on one host needs; nothing else is read from the controller while it runs.

    run           time-sortable id (26 characters, Crockford base 32), also the name of the run's directory
    instance      name of the instance; `instance_id` its immutable id
    event         one of EVENTS; `recipes` as "cookbook::recipe", in order
    attributes    merged attributes; mapping of cookbook or app name to values
    snapshot      {"store": id, "number": n, "stack": {..}, "instances": [{name, address, layers, state, ..}], "apps": {..}}
    trees         {"cookbook:nginx": tree hash, ..}; `bundle` is the hash of the bundle that runs this
    secrets       values that are masked in everything that the host writes
    apply         False for a plan: read and compare, change nothing
    lock_wait     seconds to wait for the host's lock before the run ends as expired
    timeout       seconds until the run stops starting resources; None is unlimited
    take_over     accept a snapshot of another store
    agent         settings of the resident agent, installed by setup; None leaves the agent alone
    undo          id of an earlier run of this host whose changes are put back, the last one first
    die_at        number of the step at which the run kills itself, for tests (`step` in host/system.py); 0 is never
    """

    # Written out: `dataclasses` would cost a host 5 ms of every run to import.
    def __init__(
        self,
        run: str,
        instance: str,
        instance_id: str,
        stack: str,
        event: str,
        recipes: List[str],
        attributes: Optional[Dict[str, Any]] = None,
        snapshot: Optional[Dict[str, Any]] = None,
        trees: Optional[Dict[str, str]] = None,
        bundle: str = "",
        secrets: Optional[List[str]] = None,
        revision: int = 0,
        apply: bool = True,
        lock_wait: float = 0.0,
        timeout: Optional[float] = None,
        take_over: bool = False,
        app: Optional[str] = None,
        agent: Optional[Dict[str, Any]] = None,
        verbose: bool = False,
        undo: Optional[str] = None,
        die_at: int = 0,
    ) -> None:
        self.run, self.instance, self.instance_id, self.stack = run, instance, instance_id, stack
        self.event, self.recipes = event, recipes
        self.attributes, self.snapshot, self.trees = attributes or {}, snapshot or {}, trees or {}
        self.bundle, self.secrets, self.revision = bundle, secrets or [], revision
        self.apply, self.lock_wait, self.timeout, self.take_over = apply, lock_wait, timeout, take_over
        self.app, self.agent, self.verbose, self.undo = app, agent, verbose, undo
        self.die_at = die_at

    def to_dict(self) -> Dict[str, Any]:
        """The fields; their values are not copied."""
        return dict(self.__dict__)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunRequest:
        """Fields that only a newer controller knows are left out."""
        known = cls.__init__.__code__.co_varnames
        return cls(**{name: value for name, value in data.items() if name in known and name != "self"})


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of the wire."""
    return (json.dumps(message, separators=(",", ":")) + "\n").encode()


def decode(line: bytes, *, run: Optional[str] = None) -> Dict[str, Any]:
    """One event of a host, checked: its length, depth, kind and (when given) its run id.

    Raises HostileOutput.
    """
    if len(line) > MAX_LINE_BYTES:
        raise HostileOutput(f"the host sent a line of {len(line)} bytes; the limit is {MAX_LINE_BYTES}")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise HostileOutput(f"the host sent a line that is not JSON: {line[:200]!r} ({error})") from None
    if not isinstance(message, dict) or message.get("kind") not in EVENT_KINDS:
        raise HostileOutput(f"the host sent an unknown event: {line[:200]!r}")
    if _depth(message) > MAX_JSON_DEPTH:
        raise HostileOutput(f"the host sent an event nested deeper than {MAX_JSON_DEPTH}")
    if run is not None and message.get("run", run) != run:
        raise HostileOutput(f"the host sent an event of run {str(message.get('run'))[:40]!r}; asked was {run}")
    return message


def _depth(value: Any) -> int:
    """Nesting of containers, without recursion (the value comes from a host)."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, level = waiting.pop()
        deepest = max(deepest, level)
        children: Tuple[Any, ...] = ()
        if isinstance(item, dict):
            children = tuple(item.values())
        elif isinstance(item, list):
            children = tuple(item)
        waiting.extend((child, level + 1) for child in children if isinstance(child, (dict, list)))
    return deepest
