"""What running processes do, from /proc: whether a program has come to rest."""

from __future__ import annotations

import contextlib
from typing import Dict, Tuple

# process id -> its state (S: it sleeps) and how often it was given and taken the processor
Activity = Dict[int, Tuple[str, int]]


def activity(process: int) -> Activity:
    """Of a process and all below it; empty when it has ended. Equal answers mean that none of them has run in between."""
    found: Activity = {}
    waiting = [process]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError, KeyError, ValueError):
            with open(f"/proc/{each}/status") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            switches = int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])
            found[each] = (fields["State"][:1], switches)
            with open(f"/proc/{each}/task/{each}/children") as file:
                waiting += map(int, file.read().split())
    return found


def asleep(seen: Activity) -> bool:
    return bool(seen) and all(state == "S" for state, _ in seen.values())
