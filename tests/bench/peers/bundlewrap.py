"""bundlewrap, its connections kept open by OpenSSH, which is six times as fast as without."""

from __future__ import annotations

from typing import Any

from tests.bench import work
from tests.bench.peers.tool import Ground, PythonTool


def owned(each: dict[str, Any]) -> dict[str, str]:
    return {name: each[name] for name in ("mode", "owner", "group")}


def items() -> dict[str, Any]:
    """What a bundle's items.py declares, by name of the variable."""
    reload = "systemctl daemon-reload"
    plain = {each["path"]: {"source": each["source"], "content_type": "text", **owned(each)} for each in work.FILES}
    units = {each["path"]: {"source": each["source"], "triggers": ["action:reload"], **owned(each)} for each in work.UNITS}
    templates = {
        each["path"]: {"source": "app.conf.j2", "content_type": "jinja2", "context": each["values"], **owned(each)}
        for each in work.TEMPLATES
    }
    services = {
        name: {"running": True, "enabled": True, "needs": [f"file:{unit['path']}", "action:reload"]}
        for name, unit in zip(work.SERVICES, work.UNITS, strict=True)
    }
    return {
        "pkg_apt": {name: {} for name in work.PACKAGES},
        "groups": {each["name"]: {"gid": each["gid"]} for each in work.GROUPS},
        "users": {
            each["name"]: {"uid": each["uid"], "gid": each["group"], "home": each["home"], "shell": each["shell"]}
            for each in work.USERS
        },
        "directories": {each["path"]: owned(each) for each in work.DIRECTORIES},
        "files": plain | units | templates,
        "symlinks": {each["path"]: {"target": each["target"], "owner": "root", "group": "root"} for each in work.LINKS},
        "actions": {"reload": {"command": reload, "triggered": True}},
        "svc_systemd": services,
    }


class Bundlewrap(PythonTool):
    name, environment, distribution = "bundlewrap, ControlMaster", "bundlewrap", "bundlewrap"

    def write(self, ground: Ground) -> None:
        ground.write_files("bundles/web/files")
        ground.write_template("bundles/web/files/app.conf.j2", "{{ ", " }}")
        ground.write("bundles/web/items.py", "".join(f"{name} = {value!r}\n" for name, value in items().items()))
        nodes = {
            host.name: {"hostname": host.name, "bundles": ["web"], "os": "debian", "os_version": (12,)} for host in ground.hosts
        }
        ground.write("nodes.py", f"nodes = {nodes!r}\n")
        ground.write("groups.py", "groups = {}\n")

    def line(self, ground: Ground) -> str:
        options = f"-F {ground.ssh_config} -o ControlMaster=auto -o ControlPath={ground.folder}/cm-%h -o ControlPersist=60"
        environment = f"BW_SSH_ARGS='{options}' BW_SCP_ARGS='{options}'"
        return f"{environment} {self.program('bw')} apply -p {len(ground.hosts)} {' '.join(ground.names)}"
