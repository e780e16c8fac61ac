"""What all kinds have in common works for each of them: guards, ignore_failure, sensitive, timeout, retries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cookline
from cookline.host.resources.base import Changes, Resource, State
from cookline.host.run.cookbooks import Cookbooks
from cookline.host.run.engine import Engine
from cookline.host.run.journal import Journal
from cookline.host.run.masking import Masker
from cookline.host.system import System
from cookline.protocol import RunRequest
from tests.contract.cases import all_cases
from tests.unit.host.test_resource_kinds import KINDS

SECRET = "a value that nobody may see"


def engine_of(directory: Path) -> Engine:
    request = RunRequest(run="1", instance="i", instance_id="i-1", stack="s", event="setup", recipes=[])
    (directory / "journal.ndjson").touch()
    return Engine(request, Journal(str(directory), Masker(())), Cookbooks({}), [], system=System())


def events(engine: Engine) -> list[dict[str, Any]]:
    engine.journal.flush()
    text = (Path(engine.journal.directory) / "journal.ndjson").read_text()
    return [json.loads(line) for line in text.splitlines()]


def failing(kind: type[Resource]) -> type[Resource]:
    """The kind with a machine in place of ours that takes nothing and says the secret."""

    def current(self: Resource, host: System) -> State:
        return {"field": SECRET}

    def desired(self: Resource) -> State:
        return {"field": "else"}

    def apply(self: Resource, host: System, changes: Changes) -> None:
        tried.append(self.timeout)
        raise OSError(SECRET)

    tried: list[float | None] = []
    methods = {"current": current, "desired": desired, "apply": apply, "tried": tried, "bind": lambda self, scope: self}
    methods |= {"diff": lambda self, host, changes: SECRET, "owes": lambda self, host: (), "inverse": lambda *_: None}
    return type(kind.__name__, (kind,), {**methods, "__annotations__": {}})


def made(name: str, **common: Any) -> Any:
    fields = next(case.resource for case in all_cases() if case.kind == name) if name != "Reboot" else {"reason": "x"}
    return failing(getattr(cookline, name))(**{**fields, **common})


@pytest.mark.parametrize("name", KINDS)
def test_common_fields(name: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    for guards in ({"only_if": ["true", lambda: False]}, {"not_if": [lambda: False, lambda: True]}):
        assert engine.ensure(made(name, **guards), later=[], now=[]).kind == "skipped"
    resource = made(name, only_if=[lambda: True], ignore_failure=True, sensitive=True, timeout=7, retries=1, retry_delay=0.0)
    assert engine.ensure(resource, later=[], now=[]).failed
    assert resource.tried == [7, 7], "one retry, each with the timeout"
    *_, failed = events(engine)
    assert (failed["kind"], failed["ignored"]) == ("failed", True)
    assert SECRET not in json.dumps(events(engine))
