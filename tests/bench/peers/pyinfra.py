"""pyinfra: one operation a resource."""

from __future__ import annotations

import json

from tests.bench import work
from tests.bench.peers.tool import Ground, PythonTool

DEPLOY = """\
import json

from pyinfra.operations import apt, files, server, systemd

with open("work.json") as file:
    work = json.load(file)


def owned(each):
    return {"mode": each["mode"][1:], "user": each["owner"], "group": each["group"]}


apt.packages(packages=work["packages"])
for each in work["groups"]:
    server.group(group=each["name"], gid=each["gid"])
for each in work["users"]:
    fields = {name: each[name] for name in ("uid", "group", "home", "shell")}
    server.user(user=each["name"], create_home=False, **fields)
for each in work["directories"]:
    files.directory(path=each["path"], **owned(each))
for each in work["files"]:
    files.put(src="files/" + each["source"], dest=each["path"], **owned(each))
for each in work["templates"]:
    values = {name + "_": value for name, value in each["values"].items()}
    files.template(src="app.conf.j2", dest=each["path"], **owned(each), **values)
for each in work["links"]:
    files.link(path=each["path"], target=each["target"])
for name in work["services"]:
    systemd.service(service=name, running=True, enabled=True)
"""


class Pyinfra(PythonTool):
    name = environment = distribution = "pyinfra"

    def write(self, ground: Ground) -> None:
        ground.write_files("files")
        ground.write_template("app.conf.j2", "{{ ", "_ }}")
        ground.write("deploy.py", DEPLOY)
        lists = {"packages": work.PACKAGES, "groups": work.GROUPS, "users": work.USERS, "directories": work.DIRECTORIES}
        lists |= {"files": [*work.UNITS, *work.FILES], "templates": work.TEMPLATES, "links": work.LINKS}
        ground.write("work.json", json.dumps({**lists, "services": work.SERVICES}))
        settings = {"ssh_user": "root", "ssh_key": ground.key, "ssh_known_hosts_file": str(ground.known_hosts)}
        settings |= {"ssh_strict_host_key_checking": "yes"}
        hosts = [(host.name, {**settings, "ssh_hostname": host.address}) for host in ground.hosts]
        ground.write("inventory.py", f"hosts = {hosts!r}\n")

    def line(self, ground: Ground) -> str:
        return f"{self.program('pyinfra')} -y inventory.py deploy.py"
