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


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The address of moto's server: S3 and EC2 as far as boto3 can tell."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
