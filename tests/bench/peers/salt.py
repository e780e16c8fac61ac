"""Salt: salt-ssh, which brings itself to the host, and salt-call on hosts that have it already."""

from __future__ import annotations

import json
from typing import Any

from tests.bench import work
from tests.bench.peers.image import SALT, has_salt
from tests.bench.peers.tool import Ground, PythonTool


def state(function: str, **arguments: Any) -> dict[str, Any]:
    return {function: [{name: value} for name, value in arguments.items()]}


def owned(each: dict[str, Any]) -> dict[str, str]:
    return {"mode": each["mode"], "user": each["owner"], "group": each["group"]}


def states() -> dict[str, Any]:
    found = {f"package {name}": state("pkg.installed", name=name) for name in work.PACKAGES}
    found |= {f"group {each['name']}": state("group.present", **each) for each in work.GROUPS}
    for each in work.USERS:
        rest = {"gid": each["group"], "home": each["home"], "createhome": False, "shell": each["shell"]}
        found[f"user {each['name']}"] = state("user.present", name=each["name"], uid=each["uid"], **rest)
    found |= {each["path"]: state("file.directory", **owned(each)) for each in work.DIRECTORIES}
    for each in [*work.UNITS, *work.FILES]:
        found[each["path"]] = state("file.managed", source=f"salt://files/{each['source']}", **owned(each))
    for each in work.TEMPLATES:
        template = {"source": "salt://app.conf.j2", "template": "jinja", "context": each["values"]}
        found[each["path"]] = state("file.managed", **template, **owned(each))
    found |= {each["path"]: state("file.symlink", target=each["target"]) for each in work.LINKS}
    for name, unit in zip(work.SERVICES, work.UNITS, strict=True):
        found[name] = state("service.running", enable=True, require=[{"file": unit["path"]}])
    return found


class SaltSsh(PythonTool):
    name, environment, distribution = "salt-ssh", "salt", "salt"

    def write(self, ground: Ground) -> None:
        ground.write_files("salt/states/files")
        ground.write_template("salt/states/app.conf.j2", "{{ ", " }}")
        ground.write("salt/states/web.sls", "#!json\n" + json.dumps(states()))
        self.configure(ground)

    def configure(self, ground: Ground) -> None:
        folder = ground.folder / "salt"
        hosts = {host.name: {"host": host.address, "user": "root", "priv": ground.key} for host in ground.hosts}
        ground.write("salt/roster", json.dumps(hosts))
        options = [f"UserKnownHostsFile={ground.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
        settings = {"root_dir": f"{folder}/root", "file_roots": {"base": [f"{folder}/states"]}, "ssh_options": options}
        settings |= {"roster_file": f"{folder}/roster", "ssh_log_file": "/dev/null", "ssh_max_procs": 50, "log_level": "error"}
        ground.write("salt/master", json.dumps(settings))

    def line(self, ground: Ground) -> str:
        return f"{self.program('salt-ssh')} -c salt '*' state.apply web"


class SaltCall(SaltSsh):
    name = "salt-call --local"

    def missing(self) -> str:
        return super().missing() or ("" if has_salt() else "its virtual environment is not of Python 3.11, as the hosts are")

    def configure(self, ground: Ground) -> None:
        settings = {"file_client": "local", "file_roots": {"base": ["/opt/bench/salt/states"]}, "root_dir": "/var/tmp/salt"}
        ground.write("salt/minion", json.dumps({**settings, "log_level": "error", "log_level_logfile": "quiet"}))

    def line(self, ground: Ground) -> str:
        return ground.pushed("salt", f"/{SALT}/salt-call --local -c /opt/bench/salt --retcode-passthrough state.apply web")
