"""What `cookline plan` shows, and how a run is held against it: at the terminal, for programs, in exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.lab.hosts import LabHost

MakeProject = Callable[..., Project]


@pytest.fixture
def project(host: LabHost, tmp_path: Path) -> MakeProject:
    """A function that writes a project whose one instance is the host."""

    def make(**values: Any) -> Project:
        made = Project(tmp_path, [host], **values).write()
        made.good("push", "test.yml")
        return made

    return make


def change(shop: Project, **recipes: str) -> None:
    """Push the project with other recipes."""
    shop.recipes = {**shop.recipes, **recipes}
    shop.write().good("push", "test.yml")


NOTHING = "def recipe(node): pass"
BODY = """
    def recipe(node):
        node.ensure(File("/srv/conf", content="one\\ntwo\\n", mode="0600"))
        node.ensure(Execute("mkdir /srv/data", creates="/srv/data"))
        node.ensure(Directory("/srv/data/sub"))
"""


def test_a_plan_is_a_tree_with_differences_and_the_run_is_held_against_it(host: LabHost, project: MakeProject) -> None:
    host.run("printf 'one\\n' > /srv/conf", check=True)
    shop = project(recipes={"setup": NOTHING, "configure": NOTHING})
    shop.good("setup", "test")
    change(shop, configure=BODY)
    plan = shop.cookline("plan", "test", "configure", "--on", host.name)
    assert plan.status == 3
    lines = plan.out.splitlines()
    tree = lines[: lines.index("        +two") + 1]
    assert tree[:4] == [
        f"{host.name}, configure",
        "  test::configure",
        "    ~ File[/srv/conf]  content 2c8b08da -> c3f9c8c2, mode 0644 -> 0600",
        "      cookbooks/test/recipes/configure.py:4",
    ]
    assert "    ~ Execute[mkdir /srv/data]  created False -> True" in lines
    assert any(line.startswith("    ? Directory[/srv/data/sub]  /srv/data/sub does not exist yet; Execute[") for line in lines)
    assert "successful  2 will change, 1 cannot know" in lines[-2]
    (result,) = shop.cookline("plan", "test", "configure", "--json").json["results"]
    assert [each["kind"] for each in result["resources"]] == ["will_change", "will_change", "cannot_know"]
    assert result["resources"][0]["diff"].endswith("+two") and result["resources"][2]["reason"]

    host.run("printf 'one\\ntwo\\n' > /srv/conf; chmod 600 /srv/conf", check=True)
    run = shop.good("configure", "test", "--json").json["results"][0]["run"]
    shown = shop.good("show", run).out
    assert ": 1\n    File[/srv/conf]: planned will change, was unchanged\n" in shown
    assert shop.cookline("plan", "test", "configure").status == 0
    assert shop.good("configure", "test").status == 0


def test_what_a_failed_run_leaves_behind_is_shown(host: LabHost, project: MakeProject) -> None:
    body = """
        def recipe(node):
            node.ensure(File("/srv/conf", content="x"), later=Run("echo paid >> /srv/paid"))
            node.ensure(Execute("echo out; echo err >&2; exit 3"))
            node.ensure(File("/srv/never", content="x"))
    """
    shop = project(recipes={"setup": body, "deploy": NOTHING})
    failed = shop.cookline("setup", "test")
    assert failed.status == 1 and "unprocessed: test::deploy" in failed.out
    for told in ("`echo out; echo err >&2; exit 3` ended with status 3", "stdout: out", "stderr: err", ">    5 "):
        assert told in failed.err
    assert "Run[echo paid >> /srv/paid]" in shop.good("status", "test").out
    shown = shop.good("show", re.findall(r"`cookline show (\w+)`", failed.err)[0]).out
    assert "unprocessed: test::deploy" in shown
    assert "owed: Run[echo paid >> /srv/paid], because of File[/srv/conf]; the next run does it" in shown
    change(shop, setup=NOTHING)
    shop.good("setup", "test")
    assert host.run("cat /srv/paid; ls -d /srv/never").stdout == "paid\n"
    assert "Run[echo" not in shop.good("status", "test").out


def test_a_restart_that_is_owed_to_a_unit_that_is_gone_is_dropped(host: LabHost, project: MakeProject) -> None:
    body = """
        from cookline import Service, SystemdUnit

        def recipe(node):
            node.ensure(SystemdUnit("shop.service", "[Service]\\nExecStart=/bin/sleep 1d\\n"))
            node.ensure(File("/srv/conf", content="x"), later=Restart("shop"))
            node.ensure(Execute("false"))
    """
    shop = project(recipes={"setup": body})
    assert shop.cookline("setup", "test").status == 1
    assert "Restart[shop]" in shop.good("status", "test").out
    host.run("rm /etc/systemd/system/shop.service && systemctl daemon-reload", check=True)
    change(shop, setup=NOTHING)
    done = shop.good("setup", "test")
    assert "! Restart[shop]  not done: the unit shop.service is gone" in done.out
    assert "Restart[shop]" not in shop.good("status", "test").out
