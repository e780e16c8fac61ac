from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "lifecycle"))
sys.path.insert(0, str(Path(__file__).parent))

from clockwork import Clockwork


@pytest.fixture
def clockwork(tmp_path: Path) -> Iterator[Any]:
    """A function that makes one; its arguments are those of Clockwork."""
    made: list[Clockwork] = []

    def make(**options: Any) -> Clockwork:
        made.append(Clockwork(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.kitchen.close()
