"""One file, one case: tests/contract/resources/KIND/CASE.yml.

what       one sentence
start      shell command that brings the host to the state in which the case begins
resource   fields of the kind
cookbook   {path: text} of the cookbook that declares it, as {"files/motd": ".."}
artifact   {path: text} of an application's archive, sent as the app "shop"
changes    {field: [current, desired]} that the first run reports; "*" is any value
look       what testinfra sees then: [{file: /etc/motd, mode: "0644", content: ".."}, {command: id shop, rc: 0}, ..]
break      shell command: somebody changes the host by hand
drift      fields that the drift check names then
remove     fields that are changed to remove it all again; {} when the kind cannot
undone     the changes that a plan announces after an undo, where they are told otherwise than `changes`

A law that does not hold for a case is named in it, with the reason:

not_known   why the plan cannot know what the run will change; it says so in these words
not_quiet   why the second run changes something again
not_undone  why `cookline undo` does not take the change back
kept        {path pattern: why it is not as before after an undo}
gone       what testinfra sees at last, as `look`
error      instead of all from `changes` on: what the failed run says; `look` must hold after it
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parent / "resources"


@dataclass(frozen=True, repr=False)
class Case:
    """See the module's text. `kind` is the name of the folder, `name` that of the file."""

    kind: str
    name: str
    what: str
    resource: dict[str, Any]
    start: str = ""
    cookbook: dict[str, str] = field(default_factory=dict)
    artifact: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    look: list[dict[str, Any]] = field(default_factory=list)
    break_: str = ""
    drift: list[str] = field(default_factory=list)
    undone: dict[str, Any] = field(default_factory=dict)
    not_known: str = ""
    not_quiet: str = ""
    not_undone: str = ""
    kept: dict[str, str] = field(default_factory=dict)
    remove: dict[str, Any] = field(default_factory=dict)
    gone: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    def __repr__(self) -> str:
        return f"{self.kind}-{self.name}"


def load(path: Path) -> Case:
    given = yaml.safe_load(path.read_text())
    if "break" in given:
        given["break_"] = given.pop("break")
    unknown = set(given) - {each.name for each in fields(Case)}
    assert not unknown, f"{path} has unknown keys: {', '.join(sorted(unknown))}"
    return Case(kind=path.parent.name, name=path.stem, **given)


def all_cases() -> list[Case]:
    return [load(path) for path in sorted(DIRECTORY.glob("*/*.yml"))]
