from collections.abc import Callable
from pathlib import Path

import pytest

from cookline.control.stack.loading import Definition, load_stack, parse_stack

HERE = Path(__file__).parent


@pytest.fixture
def load() -> Callable[..., Definition]:
    """A definition out of text, beside this folder's cookbooks and app."""
    return lambda text, **options: parse_stack(text, **{"file": "stack.yml", "directory": HERE, **options})


@pytest.fixture
def shop() -> Definition:
    return load_stack(HERE / "shop.yml")
