"""The hosts that kitchen.yml files ask for: one case for each suite on each platform."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookline.control.stack.problems import Where, raise_problems
from cookline.control.stack.run_list import run_list
from cookline.errors import SelectorError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.kitchens import KitchenFile


@dataclass(frozen=True)
class Case:
    """One suite on one platform. `name` is that of its host."""

    name: str
    suite: str
    platform: str
    provider: str
    settings: dict[str, Any] = field(compare=False)
    file: KitchenFile = field(compare=False, repr=False)

    @property
    def tests(self) -> list[Path]:
        """The folders and files of its testinfra tests that are there; without a word on them those of its cookbooks."""
        suite = self.file.model.suites[self.suite]
        if suite.tests:
            return [self.file.directory / text for text in suite.tests]
        if self.file.cookbook:
            folders = [self.file.directory / "tests"]
        else:
            folders = [self.file.directory / "tests" / self.suite, *self._of_recipes()]
        return [folder for folder in folders if folder.is_dir()]

    def _of_recipes(self) -> list[Path]:
        """The tests folders of the cookbooks whose recipes run."""
        definition = self.file.definition(self.suite, self.platform, self.name)
        addresses = [each for event in self.file.events(self.suite) for each in run_list(definition.stack, self.name, event)]
        books = dict.fromkeys(address.partition("::")[0] for address in addresses)
        return [folder / "tests" for book in books if (folder := definition.cookbooks[book].folder)]


def find_files(directory: Path) -> list[Path]:
    """kitchen.yml of this folder, else those of the cookbooks below it."""
    from cookline.control.stack.kitchens import FILE

    own = directory / FILE
    return [own] if own.is_file() else sorted(directory.glob(f"cookbooks/*/{FILE}"))


def load_cases(directory: Path) -> list[Case]:
    """Every case of this folder. Raises StackError, and UsageError where there is no kitchen.yml."""
    from cookline.control.stack.kitchen_checks import load_kitchen

    files = find_files(directory)
    if not files:
        raise UsageError(
            f"there is no kitchen.yml in {directory}, nor in cookbooks/*/",
            hint="`cookline kitchen init COOKBOOK` writes one; `cookline kitchen create --hosts 3` boots hosts without any",
        )
    cases: dict[str, Case] = {}
    for path in files:
        kitchen = load_kitchen(path)
        for suite, platform in kitchen.pairs():
            case = Case(
                _name(kitchen, suite, platform),
                suite,
                platform,
                kitchen.provider(suite, platform),
                kitchen.settings(suite, platform),
                kitchen,
            )
            _check(case, cases.get(case.name))
            cases[case.name] = case
        raise_problems(kitchen.document.problems)
    return list(cases.values())


def _name(kitchen: KitchenFile, suite: str, platform: str) -> str:
    words = [kitchen.cookbook, suite if suite != "default" or not kitchen.cookbook else None, platform]
    return "-".join(word for word in words if word).replace("_", "-").replace(".", "-")


def _check(case: Case, other: Case | None) -> None:
    """Its provider exists and understands its settings; no other case has its name."""
    from cookline.control.providers.registry import NAMES, setting_problems

    document, suite = case.file.document, case.suite
    if other is not None:
        both = f"the suites {other.suite} of {other.file.document.file} and {suite}" if other.file is not case.file else ""
        sentence = f"{both or f'the suites {other.suite} and {suite}'} would both call their hosts {case.name}"
        document.problem(("suites", suite), sentence, key=True)
    if case.provider not in NAMES:
        for where in (("suites", suite, "provider"), ("platforms", case.platform, "provider"), ("providers", case.provider)):
            if where in document.marks:
                near = did_you_mean(case.provider, NAMES) or f"; providers are {', '.join(NAMES)}"
                document.problem(where, f"there is no provider {case.provider!r}{near}", key=where[0] == "providers")
                return
    for key, sentence in setting_problems(case.provider, case.settings):
        document.problem(_place(case, key), sentence, key=True)


def _place(case: Case, key: str) -> Where:
    """Where a setting was written: in the suite, the platform or the provider; else the suite itself."""
    platform = ("platforms", case.platform)
    index = list(case.file.model.platforms).index(case.platform)
    places: list[Where] = [
        ("suites", case.suite, "settings", key),
        (*platform, "settings", key),
        ("providers", case.provider, key),
    ]
    places += [platform, ("platforms", index)] if key == "image" else []
    marks = case.file.document.marks
    return next((where for where in places if where in marks), ("suites", case.suite))


def select(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Names that a pattern means: the whole name, a shell pattern, or a part of the name. All without patterns.

    Raises SelectorError for one that means nothing.
    """
    known = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        found = {pattern} & {*known} or {
            name for name in known if (fnmatch.fnmatchcase(name, pattern) if set(pattern) & set("*?[") else pattern in name)
        }
        if not found:
            hint = f"there are {', '.join(known[:12])}" if known else "cookline kitchen list"
            raise SelectorError(f"no host of the kitchen is meant by {pattern!r}{did_you_mean(pattern, known)}", hint=hint)
        chosen |= found
    return [name for name in known if not patterns or name in chosen]
