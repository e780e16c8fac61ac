"""What differs on this host: kept from one look to the next, so that each finding knows since when, and an end is told too.

    {"findings": {"File[/etc/motd]": FINDING}, "told": {"File[/etc/motd]": [epoch, digest]}, "checked": {"at", "by",
    "declarations"}}

A FINDING is {"resource", "kind", "differences": [{"field", "expected", "found"}], "since", "seen", "detected_by", "recipe",
"line", "run", "label": "corrective"}; the record of its end has "cleared": epoch seconds besides.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from cookline.host import paths

Finding = Dict[str, Any]

FINDINGS = paths.STATE_DIRECTORY + "/findings.json"
# A resource that flaps is told of at most so often; what it is like then is looked at and told when the time is over.
DAMPING_SECONDS = 60.0


class Findings:
    """The open findings of this host. Read, `update` and `save` under `exclusively(path)`."""

    def __init__(self, path: str = FINDINGS) -> None:
        self.path = path
        self.open: Dict[str, Finding] = {}
        self.told: Dict[str, Tuple[float, str]] = {}
        self.checked: Dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError), open(path, "rb") as file:
            state = json.loads(file.read())
            found, told = dict(state["findings"]), {name: (float(at), str(what)) for name, (at, what) in state["told"].items()}
            self.open, self.told, self.checked = found, told, dict(state["checked"])

    def save(self) -> None:
        """Raises OSError when the disk is full."""
        state = {"findings": self.open, "told": self.told, "checked": self.checked}
        paths.write_private(self.path, json.dumps(state, separators=(",", ":")).encode())

    def update(
        self, found: Mapping[str, Finding], looked_at: Sequence[str], declared: Sequence[str], detected_by: str, now: float
    ) -> Tuple[List[Finding], Dict[str, float]]:
        """Take over what a look at `looked_at` found.

        Returns the records to tell (new, changed and ended findings), and for each resource whose news is held back because
        it was told of less than DAMPING_SECONDS ago the seconds until it may be told of again.
        """
        news = [self._found(name, finding, detected_by, now) for name, finding in found.items()]
        gone = [name for name in self.open if (name in looked_at and name not in found) or name not in declared]
        news += [{**self.open.pop(name), "cleared": now} for name in gone]
        return self._tell(news, now)

    def _found(self, name: str, finding: Finding, detected_by: str, now: float) -> Finding:
        before = self.open.get(name)
        first = {"since": now, "detected_by": detected_by} if before is None else before
        self.open[name] = {**finding, "since": first["since"], "detected_by": first["detected_by"], "seen": now}
        return self.open[name]

    def _tell(self, news: Sequence[Finding], now: float) -> Tuple[List[Finding], Dict[str, float]]:
        records: List[Finding] = []
        held: Dict[str, float] = {}
        for finding in news:
            name, digest = finding["resource"], _digest(finding)
            at, before = self.told.get(name, (0.0, ""))
            if digest == before:
                continue
            if abs(now - at) < DAMPING_SECONDS:
                held[name] = DAMPING_SECONDS - abs(now - at)
                if "cleared" in finding:
                    # The end is held back, so it is still to come: the next look ends it again.
                    self.open[name] = {key: value for key, value in finding.items() if key != "cleared"}
                continue
            self.told[name] = (now, digest)
            records.append(finding)
        self.told = {name: (at, digest) for name, (at, digest) in self.told.items() if name in self.open or now - at < 3600}
        return records, held


def _digest(finding: Finding) -> str:
    """Equal for findings that say the same."""
    if "cleared" in finding:
        return "cleared"
    return json.dumps([finding["differences"], finding["since"]], sort_keys=True)


@contextlib.contextmanager
def exclusively(path: Optional[str] = None) -> Iterator[None]:
    """One process at a time changes the findings."""
    descriptor = os.open((path or FINDINGS) + ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
