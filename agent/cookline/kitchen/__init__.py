"""Testing of recipes: suites on hosts of any provider, a fake host, a pytest plugin, and the loop that shows what a save does.

from cookline.kitchen import converge       a recipe on a fake host: milliseconds, no root
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

EXPORTS = {"converge": "cookline.kitchen.fake.converge", "FakeHost": "cookline.kitchen.fake.converge"}

if TYPE_CHECKING:
    from cookline.kitchen.fake.converge import FakeHost as FakeHost
    from cookline.kitchen.fake.converge import converge as converge


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"cookline.kitchen has no {name!r}")
    value = getattr(importlib.import_module(EXPORTS[name]), name)
    globals()[name] = value
    return value
