from __future__ import annotations

import select
import time

import pytest

PATIENCE = 20.0


@pytest.fixture
def eventually():
    """Ask `condition` until it is truthy and return its answer; fail when it never is."""

    def wait(condition, message="it never came to be", pause=0.01):
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = condition()
            if answer:
                return answer
            assert time.monotonic() < deadline, message
            time.sleep(pause)

    return wait


@pytest.fixture
def touched():
    """What a Watch tells of until everything `expected` was told of."""

    def wait(watch, *expected):
        seen = set()
        deadline = time.monotonic() + PATIENCE
        while not set(expected) <= seen:
            readable, _, _ = select.select([watch.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"told of {seen} only"
            seen |= watch.read()
        return seen

    return wait
