"""What Vagrant prints, as it printed it, and settings that cannot be meant; tests/lab has it with a real machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookline.control.providers import vagrant
from cookline.control.providers.base import HostRequest
from cookline.control.providers.registry import open_provider
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
"""


def test_states_by_machine() -> None:
    assert vagrant._states(STATUS) == {"web1": "running", "web2": "not_created"}


def test_the_way_to_a_machine() -> None:
    settings = vagrant._ssh_settings(SSH_CONFIG)
    assert (settings["hostname"], settings["user"], settings["port"]) == ("198.19.7.11", "vagrant", "22")
    assert settings["identityfile"] == "/srv/my project/.vagrant/machines/web1/lxc/private_key"


def test_a_folder_without_a_vagrantfile_and_a_mistyped_setting_are_named(tmp_path: Path) -> None:
    provider = open_provider("vagrant", tmp_path / ".cookline")
    with pytest.raises(UsageError, match=r"there is no .*/vagrant/Vagrantfile"):
        provider.status([HostRequest("web1")])
    with pytest.raises(UsageError, match="did you mean 'directory'"):
        provider.status([HostRequest("web1", {"direktory": "x"})])
