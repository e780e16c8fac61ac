"""`cookline kitchen` on real hosts: a shipped suite on each platform; suites that must fail, and what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cookline.control.providers.container.provider import ContainerProvider
from tests.lab.hosts import owned_directory

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("kitchen")]

ROOT = Path(__file__).parents[2]


@dataclass
class Kitchen:
    """A .cookline directory of its own; `folder` is where kitchen.yml lies."""

    directory: Path
    folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT / "agent"), *filter(None, sys.path)])
        environment = {**os.environ, "COOKLINE_DIRECTORY": str(self.directory), "PYTHONPATH": path}
        line = [sys.executable, "-m", "cookline.cli", "kitchen", *words]
        done = subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=240)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def good(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def provider(self) -> ContainerProvider:
        return ContainerProvider(self.directory / "kitchen")


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """A kitchen whose hosts are gone afterwards. The process that owns them is this one, so they survive no killed test."""
    with owned_directory() as directory:
        made = Kitchen(directory, tmp_path)
        try:
            yield made
        finally:
            made.provider.destroy(made.provider.project.names(), progress=lambda _: None)


def test_a_shipped_suite_passes_on_each_platform_and_leaves_nothing_behind(kitchen: Kitchen) -> None:
    kitchen.folder = ROOT / "cookbooks" / "nginx"
    report = kitchen.directory / "junit.xml"
    kitchen.good("test", "-p", "3", "--junit", str(report))
    suites = {suite.get("name"): suite for suite in ElementTree.parse(report).getroot()}
    assert set(suites) == {"nginx-debian-11", "nginx-debian-12", "nginx-debian-13"}
    for suite in suites.values():
        names = [case.get("name") for case in suite]
        assert suite.get("failures") == "0" and names[:4] == ["create", "plan setup", "setup", "setup again"]
        assert "test_its_configuration_is_valid" in names
    label = f"ck{kitchen.provider.project.identifier}"
    for command in (["ip", "-o", "link"], ["ip", "netns"], ["findmnt", "--list"], ["find", "/sys/fs/cgroup", "-maxdepth", "4"]):
        assert label not in subprocess.run(command, capture_output=True, text=True).stdout


RECIPE = """\
from cookline import Execute, File, Node


def recipe(node: Node) -> None:
    node.ensure(File("/etc/told", "once\\n"))
    {more}
"""
SUITE = """\
platforms: [debian-12]
suites: {default: {recipes: [web]}}
"""
TEST = """\
def test_the_file_says_{word}(host, instance, stack, snapshot):
    assert host.file("/etc/told").content_string == "{word}\\n"
    assert instance.name == host.check_output("hostname") == stack.instances(online=True)[0].name
    assert snapshot.stack.name == stack.name
"""


def test_suites_that_must_fail_say_why_and_a_mended_one_passes(kitchen: Kitchen) -> None:
    book = kitchen.folder / "web"
    for folder in ("recipes", "tests"):
        (book / folder).mkdir(parents=True)
    (book / "cookbook.yml").write_text("name: web\n")
    (book / "kitchen.yml").write_text(SUITE)
    recipe, test = book / "recipes" / "default.py", book / "tests" / "test_web.py"
    kitchen.folder = book

    recipe.write_text(RECIPE.format(more='node.ensure(Execute("date > /tmp/when"))'))
    test.write_text(TEST.format(word="twice"))
    restless = kitchen.run("test")
    assert restless.returncode == 1
    assert "the second converge must change nothing" in restless.stdout
    assert "Execute[date > /tmp/when] (cookbooks/web/recipes/default.py:6)" in restless.stdout

    recipe.write_text(RECIPE.format(more=""))
    wrong = kitchen.run("verify")
    assert wrong.returncode == 1 and "test_the_file_says_twice" in wrong.stdout
    assert kitchen.good("exec", "web", "--", "cat /etc/told") == "once\n"

    test.write_text(TEST.format(word="once"))
    assert "1 tests passed" in kitchen.good("verify")
    kitchen.good("fault", "reboot", "web")
    assert kitchen.run("exec", "web", "--", "exit 7").returncode == 7
    ssh = ["ssh", "-F", str(kitchen.directory / "kitchen" / "ssh_config"), "web-debian-12", "true"]
    assert subprocess.run(ssh, timeout=30).returncode == 0
    kitchen.good("destroy")
    assert "absent" in kitchen.good("list")


def test_plain_hosts_come_without_any_suite_and_have_a_fault_switch(kitchen: Kitchen) -> None:
    assert "web2 is up at" in kitchen.good("create", "--hosts", "2")
    kitchen.good("fault", "partition", "web1")
    ssh = ["ssh", "-F", str(kitchen.directory / "kitchen" / "ssh_config"), "-o", "ConnectTimeout=1"]
    assert subprocess.run([*ssh, "web1", "true"], timeout=30).returncode == 255
    assert subprocess.run([*ssh, "web2", "true"], timeout=30).returncode == 0
    kitchen.good("fault", "heal", "web1")
    assert subprocess.run([*ssh, "-o", "ConnectTimeout=10", "web1", "true"], timeout=30).returncode == 0
    mistyped = kitchen.run("fault", "partiton", "web1")
    assert mistyped.returncode == 2 and "did you mean 'partition'?" in mistyped.stderr
