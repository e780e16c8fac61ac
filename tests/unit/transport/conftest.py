"""A dummy host, and a conversation with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cookline.control.transport.base import Target
from cookline.control.transport.bundle import Bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.dummy import DummyHost, DummyTransport
from cookline.control.transport.pool import Pool
from cookline.protocol import RunRequest

RUN = "01J00000000000000000000000"
# Dummies look at no bundle.
NO_BUNDLE = Bundle({"x86_64": [["cookline/__init__.py", "0644", "0" * 64]]}, {})

Converse = Callable[..., Conversation]


@pytest.fixture
def transport() -> DummyTransport:
    return DummyTransport()


@pytest.fixture
def pool(transport: DummyTransport) -> Iterator[Pool]:
    with Pool({"dummy": transport}) as pool:
        yield pool


@pytest.fixture
def dummy(transport: DummyTransport) -> DummyHost:
    return transport.host("web1")


@pytest.fixture
def converse(pool: Pool) -> Converse:
    def make(instance: str = "web1", **options: Any) -> Conversation:
        return Conversation(pool, Target(instance, "192.0.2.1", transport="dummy"), NO_BUNDLE, **options)

    return make


def request(run: str = RUN, **fields: Any) -> RunRequest:
    return RunRequest(run, "web1", "i-1", "shop", "setup", ["nginx::setup"], **fields)
