"""CFEngine without a hub: the policy is sent to the host, and cf-agent runs it there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.bench import work
from tests.bench.peers.tool import Ground, HostTool

BODIES = """\
body common control { bundlesequence => { "groups", "users", "files", "rest" }; }
body perms owned(mode, user, group)
{ mode => "$(mode)"; owners => { "$(user)" }; groups => { "$(group)" }; rxdirs => "false"; }
body copy_from from(source) { source => "$(source)"; compare => "digest"; }
body link_from to(target) { source => "$(target)"; link_type => "symlink"; when_no_source => "force"; }
body classes when_repaired(name) { promise_repaired => { "$(name)" }; }
"""
HERE = "$(this.promise_dirname)"


def owned(each: Mapping[str, Any]) -> str:
    return f'perms => owned("{each["mode"]}", "{each["owner"]}", "{each["group"]}")'


def groups() -> Iterator[str]:
    yield "classes:"
    yield from (f'"lacks_{each["name"]}" not => groupexists("{each["name"]}");' for each in work.GROUPS)
    yield "commands:"
    for each in work.GROUPS:
        yield f'"/usr/sbin/groupadd --gid {each["gid"]} {each["name"]}" if => "lacks_{each["name"]}";'


def users() -> Iterator[str]:
    yield "users:"
    for each in work.USERS:
        fields = {"uid": each["uid"], "group_primary": each["group"], "home_dir": each["home"], "shell": each["shell"]}
        yield (
            f'"{each["name"]}" policy => "present", '
            + ", ".join(f'{name} => "{value}"' for name, value in fields.items())
            + ";"
        )


def files() -> Iterator[str]:
    yield "files:"
    yield from (f'"{each["path"]}/." create => "true", {owned(each)};' for each in work.DIRECTORIES)
    for each in [*work.FILES, *work.UNITS]:
        known = ', classes => when_repaired("reload")' if each in work.UNITS else ""
        yield f'"{each["path"]}" create => "true", copy_from => from("{HERE}/files/{each["source"]}"), {owned(each)}{known};'
    for each in work.TEMPLATES:
        template = f'template_method => "mustache", edit_template => "{HERE}/app.conf.mustache"'
        data = f"template_data => parsejson('{json.dumps(each['values'])}')"
        yield f'"{each["path"]}" create => "true", {template}, {data}, {owned(each)};'
    yield from (f'"{each["path"]}" link_from => to("{each["target"]}");' for each in work.LINKS)


def rest() -> Iterator[str]:
    yield "classes:"
    for name in work.SERVICES:
        question = f"/bin/systemctl --quiet is-active {name} && /bin/systemctl --quiet is-enabled {name}"
        yield f'"bad_{name}" not => returnszero("{question}", "useshell");'
    for name in work.PACKAGES:
        yield f'"lacks_{name}" not => returnszero("/usr/bin/dpkg --status {name} >/dev/null 2>&1", "useshell");'
    yield "commands:"
    yield '"/bin/systemctl daemon-reload" if => "reload";'
    yield from (f'"/bin/systemctl enable --now {name}" if => "bad_{name}";' for name in work.SERVICES)
    yield from (f'"/usr/bin/apt-get install --yes {name}" if => "lacks_{name}";' for name in work.PACKAGES)


def bundle(name: str, promises: Iterable[str]) -> str:
    return f"bundle agent {name}\n{{\n" + "\n".join(promises) + "\n}\n"


class Cfengine(HostTool):
    name, package = "cfengine", "cfengine3"

    def write(self, ground: Ground) -> None:
        ground.write_files("cfengine/files")
        ground.write_template("cfengine/app.conf.mustache", "{{", "}}")
        bundles = [bundle(made.__name__, made()) for made in (groups, users, files, rest)]
        ground.write("cfengine/policy.cf", BODIES + "".join(bundles))

    def line(self, ground: Ground) -> str:
        key = "{ test -e /var/lib/cfengine3/ppkeys/localhost.priv || cf-key >/dev/null 2>&1; }"
        return ground.pushed("cfengine", f"{key}; cf-agent -KI -f /opt/bench/cfengine/policy.cf")
