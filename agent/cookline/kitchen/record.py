"""What has become of each host of the kitchen, on disk: .cookline/kitchen/hosts/NAME.json and what its last phase said."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# The state machine (features T1): a later state is reached through those between, one that was reached is repeated.
STATES = ("absent", "created", "converged", "set_up", "verified")
PHASES = ("create", "converge", "setup", "verify")
# What verify.py leaves of one host.
REPORT_KINDS = ("verify.json", "junit.xml", "pytest.ini")


@dataclass(frozen=True)
class Record:
    """A host: how far it came, where it is (providers.base.Host as data), and the sentence of its last failure."""

    name: str
    state: str = "absent"
    provider: str = "container"
    host: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0
    # what testinfra's fixtures show: the request of the last converge
    stack: str = ""
    instance: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Mapping[str, Any] = field(default_factory=dict)


class Records:
    """The records below `directory`, which is .cookline/kitchen."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hosts = directory / "hosts"
        self.reports = directory / "reports"
        self.logs = directory / "logs"
        self.locks = directory / "locks"

    def get(self, name: str) -> Record:
        try:
            return Record(**json.loads((self.hosts / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return Record(name)

    def has(self, name: str) -> bool:
        """Whether the host was made, or its making was begun by somebody who did not come to its end."""
        return (self.hosts / f"{name}.json").is_file()

    def all(self) -> list[Record]:
        return [self.get(path.stem) for path in sorted(self.hosts.glob("*.json"))]

    def prepare(self) -> None:
        """Make the directories, for their owner alone."""
        for folder in (self.directory.parent, self.directory, self.hosts, self.reports, self.logs, self.locks):
            folder.mkdir(mode=0o700, exist_ok=True, parents=True)

    def save(self, record: Record) -> Record:
        self.prepare()
        path = self.hosts / f"{record.name}.json"
        staged = path.with_suffix(".new")
        staged.touch(mode=0o600)
        staged.write_text(json.dumps(asdict(record), indent=1))
        staged.replace(path)
        return record

    def forget(self, name: str) -> None:
        """The log of its last command stays: it is looked at when the host is gone."""
        for path in (self.hosts / f"{name}.json", *(self.reports / f"{name}.{kind}" for kind in REPORT_KINDS)):
            path.unlink(missing_ok=True)

    # -- what happened in the last command -----------------------------------------------------------------------------

    def begin_log(self, name: str) -> None:
        self.prepare()
        path = self.logs / f"{name}.jsonl"
        path.touch(mode=0o600)
        path.write_text("")

    def log(self, name: str, event: Mapping[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), **event}, default=str)
        with (self.logs / f"{name}.jsonl").open("a") as file:
            file.write(line + "\n")

    def read_log(self, name: str) -> list[dict[str, Any]]:
        """Every event of the last command on this host, with its `time`; empty when there was none."""
        try:
            lines = (self.logs / f"{name}.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def logged(self) -> list[str]:
        """The names of hosts that have a log."""
        return sorted(path.stem for path in self.logs.glob("*.jsonl"))


def next_phases(state: str, wanted: str) -> list[str]:
    """The phases from `state` to the end of `wanted`; `wanted` itself always."""
    reached, target = STATES.index(state), PHASES.index(wanted) + 1
    return list(PHASES[reached:target]) or [wanted]
