from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import Kitchen, KitchenMaker


@pytest.fixture
def make_kitchen(tmp_path: Path) -> Iterator[KitchenMaker]:
    made: list[Kitchen] = []

    def make(instances: dict[str, str] | None = None, **options: Any) -> Kitchen:
        made.append(Kitchen(tmp_path, instances or {"lb1": "lb", "app1": "app", "app2": "app"}, **options))
        return made[-1]

    yield make
    for kitchen in made:
        kitchen.close()


@pytest.fixture
def kitchen(make_kitchen: KitchenMaker) -> Kitchen:
    return make_kitchen()
