"""What Vagrant prints, as it printed it, and settings that cannot be meant; tests/e2e has it with real machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cookline.control.providers.base import HostRequest
from cookline.control.providers.registry import open_provider
from cookline.control.providers.vagrant.command import ssh_settings, states
from cookline.control.providers.vagrant.machines import Machines
from cookline.errors import UsageError

STATUS = """\
1795465195,web1,metadata,provider,lxc
1795465195,web1,provider-name,lxc
1795465195,web1,state,running
1795465195,web2,state,not_created
1795465195,web2,state-human-long,The environment has not yet been created. Run `vagrant up` to%!(VAGRANT_COMMA)
1795465195,,ui,info,Current machine states
"""
SSH_CONFIG = """\
Host web1
  HostName 198.19.7.11
  User vagrant
  Port 22
  UserKnownHostsFile /dev/null
  IdentityFile "/srv/my project/.vagrant/machines/web1/lxc/private_key"

Host web2
  HostName 127.0.0.1
  User vagrant
  Port 2200
"""


def test_states_by_machine() -> None:
    assert states(STATUS) == {"web1": "running", "web2": "not_created"}


def test_the_way_to_each_machine() -> None:
    settings = ssh_settings(SSH_CONFIG)
    assert [settings["web1"][key] for key in ("hostname", "user", "port")] == ["198.19.7.11", "vagrant", "22"]
    assert settings["web1"]["identityfile"] == "/srv/my project/.vagrant/machines/web1/lxc/private_key"
    assert (settings["web2"]["hostname"], settings["web2"]["port"]) == ("127.0.0.1", "2200")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"directory": "vagrant"}, r"there is no .*/vagrant/Vagrantfile"),
        ({"direktory": "x"}, "did you mean 'directory'"),
        ({"machine": "web1"}, "there is no `directory`"),
        ({"platform": "debian-21"}, "no box for 'debian-21'; did you mean 'debian-1"),
        ({"directory": "own", "memory": 1024}, "`memory` is a matter of .*/own/Vagrantfile"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(tmp_path: Path, settings: dict[str, Any], complaint: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/Vagrantfile").write_text("")
    with pytest.raises(UsageError, match=complaint):
        open_provider("vagrant", tmp_path / ".cookline").status([HostRequest("web1", settings)])


def test_a_machine_that_was_never_brought_up_is_absent_and_cannot_be_stopped(tmp_path: Path) -> None:
    """Vagrant is not even asked."""
    provider = open_provider("vagrant", tmp_path / ".cookline")
    assert provider.status([HostRequest("web1")])[0].state == "absent"
    provider.destroy(["web1"], print)
    with pytest.raises(UsageError, match="no machine was brought up for web1"):
        provider.stop(["web1"], print)
    assert not (tmp_path / ".cookline").exists()


def test_another_process_knows_which_machine_is_meant(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/Vagrantfile").write_text("")
    folder = tmp_path / ".cookline/providers/vagrant"
    machines = Machines(folder, tmp_path)
    own = machines.asked(HostRequest("web1", {"directory": "own", "machine": "front", "provider": "libvirt"}))
    written = machines.asked(HostRequest("web2", {"memory": 1024}))
    machines.keep([own, written])
    later = Machines(folder, tmp_path)
    assert (later.known("web1"), later.known("web2")) == (own, written)
    assert own.directory == tmp_path / "own" and (written.directory, written.name) == (folder, "web2")
    later.forget([own])
    assert later.known("web1") is None and later.known("web2") == written
