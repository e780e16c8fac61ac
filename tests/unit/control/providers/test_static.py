"""Hosts that are only described."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookline.control.providers.base import Host, HostRequest
from cookline.control.providers.registry import open_provider
from cookline.errors import UsageError


def test_a_described_host_is_what_the_definition_says() -> None:
    provider = open_provider("static", Path("/nowhere"))
    request = HostRequest("web1", {"address": "web1.example.org", "port": 2222, "user": "admin", "identity_file": "/keys/web1"})
    assert provider.status([request]) == [Host("web1", "running", "web1.example.org", 2222, "admin", "/keys/web1")]
    assert provider.create([request], print) == provider.status([request])
    assert not provider.can_start


def test_a_described_host_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match="web1 has no address"):
        open_provider("static", Path("/nowhere")).status([HostRequest("web1")])


@pytest.mark.parametrize("verb", ["stop", "reboot"])
def test_a_described_host_is_never_stopped(verb: str) -> None:
    with pytest.raises(UsageError, match=r"web1, web2 cannot be .* only described"):
        getattr(open_provider("static", Path("/nowhere")), verb)(["web1", "web2"], print)


def test_an_unknown_provider_is_named_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match="did you mean 'container'"):
        open_provider("conteiner", Path("/nowhere"))
