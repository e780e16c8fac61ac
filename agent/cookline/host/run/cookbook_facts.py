"""A cookbook's own facts: `facts/NAME.py` with a function `fact(host)` is `node.facts.COOKBOOK.NAME`.

    # cookbooks/postgres/facts/version.py
    from cookline import System

    def fact(host: System) -> str:
        return host.query(["psql", "--version"]).stdout.split()[-1]

    EXAMPLE = "15.4"     # what a fake host has: `cookline check`, `converge` in a test

Each is read when it is asked for, once a run; in a plan too, where `host` is the machine as the plan expects it.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any, Dict, List, Tuple

from cookline.errors import CookbookError, did_you_mean
from cookline.host.facts import READERS, grouped
from cookline.host.run.cookbooks import PACKAGE, Cookbooks
from cookline.host.system import System


class CookbookFacts:
    """The facts of all cookbooks of a run."""

    def __init__(self, cookbooks: Cookbooks) -> None:
        self._cookbooks = cookbooks
        self._known: Dict[Tuple[str, str], Any] = {}

    def names(self) -> List[str]:
        """The cookbooks that have facts. Raises CookbookError for one that is called as a fact of every host."""
        found = [name for name, path in self._cookbooks.directories.items() if os.path.isdir(f"{path}/facts")]
        taken = next((name for name in found if name in READERS), None)
        if taken is not None:
            message = f"the facts of cookbook {taken!r} cannot be told from the fact {taken!r} that every host has"
            raise CookbookError(message, hint=f"rename the cookbook, or move {PACKAGE}/{taken}/facts to another one")
        return sorted(found)

    def of(self, cookbook: str) -> List[str]:
        entries = sorted(os.listdir(f"{self._cookbooks.directory(cookbook)}/facts"))
        return [entry[:-3] for entry in entries if entry.endswith(".py") and not entry.startswith("_")]

    def module(self, cookbook: str, name: str) -> Any:
        """The author's file, loaded."""
        return importlib.import_module(f"{PACKAGE}.{cookbook}.facts.{name}")

    def read(self, cookbook: str, name: str, host: System) -> Any:
        """The value as JSON, with mappings whose keys are attributes too. Raises what the author's function raises."""
        if (cookbook, name) not in self._known:
            if name not in self.of(cookbook):
                raise CookbookError(f"cookbook {cookbook!r} has no fact {name!r}{did_you_mean(name, self.of(cookbook))}")
            place = f"{PACKAGE}/{cookbook}/facts/{name}.py"
            function = getattr(self.module(cookbook, name), "fact", None)
            if not callable(function):
                raise CookbookError(f"{place} defines no fact", hint="write `def fact(host: System) -> ..:`")
            value = function(host)
            try:
                self._known[cookbook, name] = grouped(json.loads(json.dumps(value)))
            except (TypeError, ValueError) as error:
                raise CookbookError(f"{place} must return JSON values: {error}") from None
        return self._known[cookbook, name]
