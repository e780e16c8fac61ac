"""What this project knows of its EC2 instances: one file a host, written before AWS is asked to make it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """Where a host of that name is. `made` counts the instances that it has been; `id` is None until AWS has named it."""

    name: str
    region: str | None
    endpoint: str | None
    profile: str | None
    made: int = 1
    id: str | None = None
    user: str = "admin"
    connect: str = "public"


class Records:
    """The files below `directory`. `owner` tells this project's instances from everybody else's in the account."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def owner(self) -> str:
        path = self.directory / "owner"
        if not path.exists():
            self._write(path, secrets.token_hex(12))
        return path.read_text("utf-8").strip()

    def find(self, name: str) -> Record | None:
        try:
            kept = json.loads(self._path(name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return Record(**{each.name: kept[each.name] for each in fields(Record) if each.name in kept})

    def save(self, record: Record) -> None:
        self._write(self._path(record.name), json.dumps(asdict(record)))

    def forget(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / "hosts" / f"{name}.json"

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = path.with_suffix(".new")
        with open(os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(staged, path)
