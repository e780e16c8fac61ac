"""The vagrant provider with a machine of vagrant-lxc. It needs the box that vagrant/build-box.sh builds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cookline.control.providers.base import HostRequest
from cookline.control.providers.registry import open_provider

BRIDGE = "cookline-vagran"


def _boxes() -> str:
    if shutil.which("vagrant") is None or shutil.which("lxc-start") is None or os.geteuid() != 0:
        return ""
    return subprocess.run(["vagrant", "box", "list"], capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if "cookline/bookworm" not in _boxes():
        pytest.skip("there is no box cookline/bookworm; `vagrant/build-box.sh` builds it (vagrant, vagrant-lxc, lxc, root)")
    shutil.copytree(Path(__file__).parent / "vagrant", tmp_path / "vagrant")
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "lxc")
    monkeypatch.setenv("BRIDGE", BRIDGE)
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    subprocess.run(["ip", "addr", "add", "198.19.7.1/24", "dev", BRIDGE], check=True)
    subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
    yield tmp_path
    subprocess.run(["ip", "link", "del", BRIDGE], check=True)


def test_a_machine_is_made_stopped_started_and_destroyed(project: Path) -> None:
    provider = open_provider("vagrant", project / ".cookline")
    wanted = [HostRequest("web1")]
    assert provider.status(wanted)[0].state == "absent"
    try:
        made = provider.create(wanted, print)[0]
        assert (made.state, made.address, made.user) == ("running", "198.19.7.11", "vagrant")
        assert made.known_host is not None and made.known_host.startswith("ssh-ed25519 ")
        provider.reboot(["web1"], print)
        assert provider.status(wanted)[0].known_host == made.known_host
        provider.stop(["web1"], print)
        assert provider.status(wanted)[0].state == "stopped"
        assert provider.create(wanted, print)[0].state == "running"
    finally:
        provider.destroy(["web1"], print)
    assert provider.status(wanted)[0].state == "absent"
