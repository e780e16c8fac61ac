"""Fixtures for tests on real hosts. `lab_hosts(3)` gives three fresh hosts, `host` the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.lab.hosts import LabHost, Pool

# The same examples in every run, and no clock: a busy machine must not fail a test.
settings.register_profile("cookline", deadline=None, derandomize=True, database=None)
settings.load_profile("cookline")

LabHosts = Callable[..., "list[LabHost]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that asks for real hosts is a lab test."""
    for item in items:
        if "lab_pool" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab_pool() -> Iterator[Pool]:
    from tests.lab.hosts import open_pool

    with open_pool() as pool:
        yield pool


@pytest.fixture
def lab_hosts(lab_pool: Pool) -> Iterator[LabHosts]:
    """A function: `lab_hosts(n)` returns n hosts called lab1, lab2, .., in the state in which hosts are made.

    `image` is another image of the container provider; its hosts have names of their own. Asked twice in one test, it returns
    the same hosts as they are by then.
    """

    def take(count: int = 1, image: str = "debian-12") -> list[LabHost]:
        prefix = "lab" if image == "debian-12" else f"{image}-"
        return lab_pool.take([f"{prefix}{number}" for number in range(1, count + 1)], image)

    yield take
    lab_pool.give_back()


@pytest.fixture
def host(lab_hosts: LabHosts) -> LabHost:
    """One fresh Debian 12 host."""
    return lab_hosts(1)[0]
