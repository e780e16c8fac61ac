"""What every unit test may rely on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def cookbooks_as_they_were() -> Iterator[None]:
    """A run puts its own package `cookbooks` in place of the one that ships; the next test finds it as it was."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] == "cookbooks"]

    kept = {name: sys.modules[name] for name in loaded()}
    yield
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(kept)
