"""A host that exists becomes an instance, and is let go without a trace, on real hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookline.control.lifecycle.dispatch import Dispatcher
from cookline.control.store.store import Store
from cookline.control.transport.pool import Pool
from tests.conftest import LabHosts
from tests.e2e.commands import Project
from tests.lab.hosts import LabHost

STACK = """\
stack: shop
layers:
  app: {recipes: {setup: [own]}}
"""
FILES = "find / -xdev -not -path '/proc/*' -not -path '/var/log/*' -not -path '/var/lib/systemd/*' -not -path '/tmp/*' | sort"


def files(host: LabHost) -> set[str]:
    return set(host.run(FILES, check=True).stdout.splitlines())


def test_a_host_is_registered_set_up_and_let_go_without_a_trace(
    lab_hosts: LabHosts, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    host, other = lab_hosts(2)
    project = Project(tmp_path)
    project.write("shop.yml", STACK)
    project.write("cookbooks/own/cookbook.yml", "name: own\nversion: 1.0.0\n")
    recipe = 'from cookline import File\n\ndef recipe(node):\n    node.ensure(File("/etc/motd", "hello\\n"))\n'
    project.write("cookbooks/own/recipes/default.py", recipe)
    project.ok("push", "shop.yml")
    before = files(host)
    place = f"{host.user}@{host.address}"
    to_shop = ("--stack", "shop", "--layer", "app", "-i", host.identity_file)

    # without a yes nothing is pinned, and nothing happens
    code, said = project.run("register", place, *to_shop)
    assert code == 4 and "nothing was registered" in said
    assert not (tmp_path / ".cookline/known_hosts").exists()

    said = project.ok("register", place, *to_shop, "--yes")
    key = host.known_host.split()[1]
    assert key in (tmp_path / ".cookline/known_hosts").read_text()
    [instance] = project.json("status", "shop")["instances"]
    name = host.run("uname -n", check=True).stdout.strip()
    assert (instance["name"], instance["state"]) == (name, "registered")
    line = next(line.strip() for line in said.splitlines() if line.strip().startswith(f"{name}:"))

    code, said = project.run("register", place, *to_shop, "--name", "again")
    assert code == 2 and f"is instance '{name}' of stack shop already" in said

    # the line that it printed is good: pasted and pushed, nothing differs
    project.write("shop.yml", f"{STACK}instances:\n  {line}\n")
    assert "unchanged" in project.ok("push", "shop.yml")
    project.ok("register", f"{other.user}@{other.address}", *to_shop, "--name", "second", "--write", "--yes")
    assert "unchanged" in project.ok("push", "shop.yml")

    # from here on as by a server, which keeps a session ready on its hosts
    store = Store(tmp_path / ".cookline")
    project.dispatcher = Dispatcher(store, pool=Pool(warm=True))
    request.addfinalizer(store.close)
    request.addfinalizer(project.dispatcher.close)
    project.ok("setup", "shop", "--on", name)
    project.ok("drift", "shop", "--on", name)
    assert host.run("cat /etc/motd; systemctl is-active cookline-agent", check=True).stdout.split() == ["hello", "active"]

    project.ok("deregister", name, "--stack", "shop")
    left = files(host) - before
    assert {path for path in left if "cookline" in path} == set()
    assert left <= {"/etc/motd"}
    units = "systemctl list-units 'cookline*' --no-legend; systemctl list-unit-files 'cookline*' --no-legend"
    assert host.run(units).stdout == ""
    assert [each["name"] for each in project.json("status", "shop")["instances"]] == ["second"]

    # a host that is gone is given up only on demand; one that comes back begins anew
    other.run("systemctl stop ssh.socket ssh.service")
    code, said = project.run("deregister", "second", "--stack", "shop")
    assert code == 1 and "--forget" in said
    project.ok("deregister", "second", "--stack", "shop", "--forget")
    project.ok("register", place, *to_shop)
    assert [each["state"] for each in project.json("status", "shop")["instances"]] == ["registered"]
