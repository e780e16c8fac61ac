"""itamae: a recipe in Ruby, each command a session over SSH."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bench import work
from tests.bench.peers.tool import INSTALLER, Ground, Tool, on_path, output_of

RELOAD = "execute 'reload' do\n  command 'systemctl daemon-reload'\n  action :nothing\nend"


def block(kind: str, name: str, **fields: Any) -> str:
    lines = [f"  {key} {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join([f"{kind} {json.dumps(name)} do", *lines, "end"])


def owned(each: dict[str, Any]) -> dict[str, str]:
    return {name: each[name] for name in ("mode", "owner", "group")}


def recipe() -> Iterator[str]:
    yield RELOAD
    yield from (f"package {json.dumps(name)}" for name in work.PACKAGES)
    yield from (block("group", each["name"], gid=each["gid"]) for each in work.GROUPS)
    for each in work.USERS:
        yield block("user", each["name"], uid=each["uid"], gid=each["group"], home=each["home"], shell=each["shell"])
    yield from (block("directory", each["path"], **owned(each)) for each in work.DIRECTORIES)
    for each in work.UNITS:
        text = block("remote_file", each["path"], source=f"files/{each['source']}", **owned(each))
        yield text.removesuffix("end") + "  notifies :run, 'execute[reload]', :immediately\nend"
    yield from (block("remote_file", each["path"], source=f"files/{each['source']}", **owned(each)) for each in work.FILES)
    for each in work.TEMPLATES:
        values = ", ".join(f"{name}: {json.dumps(value)}" for name, value in each["values"].items())
        text = block("template", each["path"], source="app.conf.erb", **owned(each))
        yield text.removesuffix("end") + f"  variables({values})\nend"
    yield from (block("link", each["path"], to=each["target"]) for each in work.LINKS)
    yield from (f"service {json.dumps(name)} do\n  action [:enable, :start]\nend" for name in work.SERVICES)


class Itamae(Tool):
    name = "itamae ssh"
    slow = True

    def missing(self) -> str:
        return "" if on_path("itamae") else f"not installed; {INSTALLER} does it"

    def version(self) -> str:
        return output_of("itamae", "version").removeprefix("Itamae v")

    def write(self, ground: Ground) -> None:
        ground.write_files("files")
        ground.write_template("app.conf.erb", "<%= @", " %>")
        ground.write("recipe.rb", "\n".join(recipe()) + "\n")

    def line(self, ground: Ground) -> str:
        return ground.on_each(f"itamae ssh --ssh-config={ground.ssh_config} -h % --no-sudo --no-color recipe.rb")
