"""Puppet without a server: the manifest and its module are sent to the host, and `puppet apply` runs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.bench import work
from tests.bench.peers.tool import Ground, HostTool


def quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def resource(kind: str, title: str, **fields: Any) -> str:
    return f"{kind} {{ '{title}': {', '.join(f'{name} => {value}' for name, value in fields.items())} }}"


def owned(each: Mapping[str, Any]) -> dict[str, str]:
    return {name: quoted(each[name]) for name in ("mode", "owner", "group")}


def manifest() -> Iterator[str]:
    yield from (resource("package", name, ensure="present") for name in work.PACKAGES)
    yield from (resource("group", each["name"], gid=each["gid"]) for each in work.GROUPS)
    for each in work.USERS:
        rest = {"gid": each["group"], "home": each["home"], "shell": each["shell"]}
        yield resource("user", each["name"], uid=each["uid"], **{name: quoted(value) for name, value in rest.items()})
    yield from (resource("file", each["path"], ensure="directory", **owned(each)) for each in work.DIRECTORIES)
    for each in [*work.UNITS, *work.FILES]:
        yield resource("file", each["path"], source=quoted(f"puppet:///modules/web/{each['source']}"), **owned(each))
    for each in work.TEMPLATES:
        values = ", ".join(f"{quoted(name)} => {quoted(value)}" for name, value in each["values"].items())
        yield resource("file", each["path"], content=f"epp('web/app.conf.epp', {{ {values} }})", **owned(each))
    yield from (resource("file", each["path"], ensure="link", target=quoted(each["target"])) for each in work.LINKS)
    for name, unit in zip(work.SERVICES, work.UNITS, strict=True):
        yield resource("service", name, ensure="running", enable="true", require=f"File['{unit['path']}']")


class Puppet(HostTool):
    name, package = "puppet apply", "puppet-agent"

    def write(self, ground: Ground) -> None:
        ground.write_files("puppet/modules/web/files")
        ground.write_template("puppet/modules/web/templates/app.conf.epp", "<%= $", " %>")
        ground.write("puppet/site.pp", "\n".join(manifest()) + "\n")

    def line(self, ground: Ground) -> str:
        return ground.pushed("puppet", "puppet apply --modulepath /opt/bench/puppet/modules /opt/bench/puppet/site.pp")
