"""Hosts without systemd: many of them on one machine, each a host to cookline all the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cookline.control.providers.base import Host, HostRequest
from cookline.control.providers.container.provider import ContainerProvider
from cookline.errors import UsageError
from tests.bench.fleet import Fleet, fleet
from tests.lab.hosts import owned_directory

pytestmark = pytest.mark.lab

LIGHT = {"kind": "light"}


def silent(_text: str) -> None: ...


@pytest.fixture
def provider() -> Iterator[ContainerProvider]:
    with owned_directory() as directory:
        made = ContainerProvider(directory)
        yield made
        made.destroy(made.project.names(), silent)


def on(host: Host, provider: ContainerProvider, command: str) -> str:
    known = provider.project.directory / "known_hosts"
    known.write_text(f"{host.address} {host.known_host}\n")
    options = ["-F", "/dev/null", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-i", str(host.identity_file)]
    line = ["ssh", *options, f"root@{host.address}", command]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_light_host_is_one_of_its_own_and_leaves_nothing(provider: ContainerProvider) -> None:
    first, second = provider.create([HostRequest("one", LIGHT), HostRequest("two", LIGHT)], silent)
    assert on(first, provider, "hostname; cat /proc/1/comm; touch /root/here") == "one\nsshd\n"
    assert on(second, provider, "hostname; ls /root") == "two\n", "what one does is not seen by the other"
    provider.reboot(["one"], silent)
    assert on(first, provider, "ls /root") == "here\n", "its disk outlives a reboot"
    provider.stop(["two"], silent)
    assert [host.state for host in provider.status([HostRequest("one"), HostRequest("two")])] == ["running", "stopped"]
    label = provider.project.label(provider.project.find("one") or pytest.fail("one is known"))
    provider.destroy(["one", "two"], silent)
    assert label not in Path("/proc/mounts").read_text()
    assert not Path("/sys/class/net", label).exists() and not Path("/run/netns", label).exists()


@pytest.mark.parametrize(
    "settings, message", [({"kind": "lite"}, "no kind 'lite'"), ({**LIGHT, "packages": ["curl"]}, "no packages")]
)
def test_what_a_light_host_cannot_be_is_said_before_anything_is_made(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ContainerProvider(tmp_path).create([HostRequest("one", settings)], silent)


@pytest.fixture(scope="module")
def twenty() -> Iterator[Fleet]:
    with fleet(20) as made:
        yield made


@pytest.mark.timeout(300)
def test_a_fleet_is_pushed_set_up_configured_and_deployed(twenty: Fleet) -> None:
    """Ten hosts, then ten more that join: each is told of all, and what stands is left alone."""
    for count in (10, 20):
        twenty.define(count)
        for words in (("push", "fleet.yml"), ("setup", "fleet"), ("deploy", "fleet", "--app", "site")):
            twenty.cookline(*words)
        status = json.loads(twenty.python("cookline.cli", "status", "fleet", "--json"))
        assert [each["state"] for each in status["instances"]] == ["online"] * count
        report = json.loads(twenty.python("cookline.cli", "configure", "fleet", "--json"))
        assert report["totals"] == {"successful": count}
        assert {result["totals"].get("changed", 0) for result in report["results"]} == {0}
