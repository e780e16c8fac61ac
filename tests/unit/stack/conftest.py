from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from cookline.control.stack.loading import Definition, load_stack, parse_stack

HERE = Path(__file__).parent

# The same examples in every run, and no clock: a busy machine must not fail a test.
settings.register_profile("stack", deadline=None, derandomize=True, database=None)
settings.load_profile("stack")


@pytest.fixture
def load() -> Callable[..., Definition]:
    """A definition out of text, beside this folder's cookbooks and app."""
    return lambda text, **options: parse_stack(text, **{"file": "stack.yml", "directory": HERE, **options})


@pytest.fixture
def shop() -> Definition:
    return load_stack(HERE / "shop.yml")
