"""ansible-core: a playbook with loops; pipelining on, connections kept by OpenSSH. With mitogen as its strategy, too."""

from __future__ import annotations

import json
from typing import Any

from tests.bench import work
from tests.bench.peers.tool import Ground, PythonTool

SETTINGS = """\
[defaults]
inventory = hosts.ini
forks = 50
nocows = 1
interpreter_python = /usr/bin/python3
local_tmp = {folder}/tmp
{strategy}
[ssh_connection]
pipelining = True
ssh_args = -F {ssh_config} -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = {folder}/cp
"""
OWNED = {"mode": "{{ item.mode }}", "owner": "{{ item.owner }}", "group": "{{ item.group }}"}


def loop(module: str, items: list[dict[str, Any]], label: str, **arguments: Any) -> dict[str, Any]:
    return {module: arguments, "loop": items, "loop_control": {"label": "{{ item." + label + " }}"}}


def tasks() -> list[dict[str, Any]]:
    path = "{{ item.path }}"
    services = {"name": "{{ item }}", "state": "started", "enabled": True, "daemon_reload": "{{ ansible_loop.first }}"}
    return [
        {"apt": {"name": list(work.PACKAGES), "state": "present"}},
        loop("group", work.GROUPS, "name", name="{{ item.name }}", gid="{{ item.gid }}"),
        loop("user", work.USERS, "name", create_home=False, **{name: f"{{{{ item.{name} }}}}" for name in work.USERS[0]}),
        loop("file", work.DIRECTORIES, "path", path=path, state="directory", **OWNED),
        loop("copy", [*work.UNITS, *work.FILES], "path", src="{{ item.source }}", dest=path, **OWNED),
        loop("template", work.TEMPLATES, "path", src="app.conf.j2", dest=path, **OWNED),
        loop("file", work.LINKS, "path", src="{{ item.target }}", dest=path, state="link"),
        {"systemd": services, "loop": list(work.SERVICES), "loop_control": {"extended": True}},
    ]


class Ansible(PythonTool):
    name, environment, distribution = "ansible-core, pipelining", "ansible", "ansible_core"
    slow = True

    def strategy(self) -> str:
        return ""

    def write(self, ground: Ground) -> None:
        ground.write_files("files")
        ground.write_template("templates/app.conf.j2", "{{ item['values'].", " }}")
        common = f"ansible_user=root ansible_ssh_private_key_file={ground.key}"
        ground.write("hosts.ini", "".join(f"{host.name} ansible_host={host.address} {common}\n" for host in ground.hosts))
        settings = {"folder": ground.folder, "ssh_config": ground.ssh_config, "strategy": self.strategy()}
        ground.write("ansible.cfg", SETTINGS.format(**settings))
        ground.write("site.yml", json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks()}]))

    def line(self, ground: Ground) -> str:
        return f"ANSIBLE_CONFIG=ansible.cfg {self.program('ansible-playbook')} site.yml"


class Mitogen(Ansible):
    name, distribution = "ansible-core with mitogen", "mitogen"
    slow = False

    def strategy(self) -> str:
        (plugins,) = self.place.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy")
        return f"strategy = mitogen_linear\nstrategy_plugins = {plugins}"
