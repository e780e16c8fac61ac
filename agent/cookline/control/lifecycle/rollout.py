"""What a rollout is asked to be: batches, gates, how many may fail; pure functions over plain data.

    Rollout.from_dict({"batch": ["1", "25%"], "gates": ["http://{address}:8080/health"], "max_unavailable": "1"})

Percentages are of all instances that the command runs on. A batch size is rounded up and at least 1, a number of tolerated
failures is rounded down: both err on the careful side but that a rollout always gets on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from cookline.errors import UsageError

SHARE = re.compile(r"(\d{1,6})(%?)")

# Commands that may go in batches, and those of them that can be taken back by going back to what was there before.
IN_BATCHES = frozenset({"setup", "configure", "deploy", "undeploy", "rollback", "run", "restart"})
REVERSIBLE = frozenset({"setup", "configure", "deploy"})


@dataclass(frozen=True)
class Rollout:
    """How a command goes from instance to instance.

    batch            sizes of the first, second, .. batch, each "2" or "25%"; the last one is repeated until nobody is left
    gates            asked after each batch; see gates.Gate
    gate_within      seconds in which each gate must be passed, by as many attempts as that takes
    gate_after       seconds that a batch serves before its gates are asked: alarms need some traffic to go by
    max_unavailable  how many instances ("1", "10%") may fail or miss their gate, in all batches together, before it stops
    auto_rollback    when it stops, what was touched goes back to what was there before
    drain            instances are taken off the balancers while their batch is at work
    """

    batch: tuple[str, ...] = ("100%",)
    gates: tuple[str, ...] = ()
    gate_within: float = 30.0
    gate_after: float = 0.0
    max_unavailable: str = "0"
    auto_rollback: bool = False
    drain: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rollout:
        """Raises UsageError for keys, sizes or gates that no rollout has."""
        from cookline.control.lifecycle.gates import Gate

        unknown = sorted(set(data) - {each.name for each in fields(cls)})
        if unknown:
            raise UsageError(f"a rollout knows no {', '.join(unknown)}")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        made = cls(**values)
        for size in made.batch:
            if share(size, 100) == 0:
                raise UsageError(f"--batch {size} would never get on", hint="sizes are like 2 or 25%")
        share(made.max_unavailable, 100)
        for gate in made.gates:
            Gate.parse(gate)
        if not made.batch or not 0 < made.gate_within <= 86400 or not 0 <= made.gate_after <= 86400:
            raise UsageError("a rollout needs a batch size, and gates between 0 and 86400 seconds")
        return made

    def check(self, kind: str) -> None:
        """Raises UsageError for a command that cannot go like this."""
        if kind not in IN_BATCHES:
            raise UsageError(f"{kind} does not go in batches", hint=f"these do: {', '.join(sorted(IN_BATCHES))}")
        if self.auto_rollback and kind not in REVERSIBLE:
            raise UsageError(
                f"what {kind} has done cannot be taken back by itself",
                hint=f"--auto-rollback is for {', '.join(sorted(REVERSIBLE))}",
            )

    def allowed(self, count: int) -> int:
        """How many of `count` instances may fail before it stops."""
        return share(self.max_unavailable, count)


def share(text: str, count: int, *, up: bool = False) -> int:
    """ "2" is 2, "25%" a quarter of `count`. Raises UsageError."""
    found = SHARE.fullmatch(str(text).strip())
    if found is None or (found[2] and int(found[1]) > 100):
        raise UsageError(f"{text!r} is neither a number of instances nor a percentage", hint="write 2, or 25%")
    if not found[2]:
        return int(found[1])
    exact = count * int(found[1]) / 100
    return math.ceil(exact) if up else math.floor(exact)


def sizes(batch: Sequence[str], count: int) -> list[int]:
    """How many instances each batch takes; they add up to `count`.

    >>> sizes(("1", "25%", "100%"), 10)
    [1, 3, 6]
    >>> sizes(("25%",), 6)
    [2, 2, 2]
    """
    found: list[int] = []
    while sum(found) < count:
        text = batch[min(len(found), len(batch) - 1)]
        found.append(min(max(1, share(text, count, up=True)), count - sum(found)))
    return found


def batch_numbers(batch: Sequence[str], count: int) -> list[int]:
    """The batch of each of `count` instances, in order.

    >>> batch_numbers(("1", "2"), 4)
    [0, 1, 1, 2]
    """
    return [number for number, size in enumerate(sizes(batch, count)) for _ in range(size)]
