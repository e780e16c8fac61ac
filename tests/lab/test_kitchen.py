"""`cookline kitchen` on real hosts: a shipped suite on each platform; suites that must fail, and what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cookline.control.providers.base import HostRequest
from cookline.control.providers.container.provider import ContainerProvider
from tests.lab.hosts import owned_directory
from tests.lab.test_container_provider import NOTHING, traces

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("kitchen")]

ROOT = Path(__file__).parents[2]


@dataclass
class Kitchen:
    """A .cookline directory of its own; `folder` is where kitchen.yml lies."""

    directory: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT / "agent"), *filter(None, sys.path)])
        return {**os.environ, "COOKLINE_DIRECTORY": str(self.directory), "PYTHONPATH": path}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "cookline.cli", "kitchen", *words]
        done = subprocess.run(line, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=240)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def good(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def started(self, *words: str) -> subprocess.Popen[str]:
        """The same in the background; its output and errors are one."""
        line = [sys.executable, "-m", "cookline.cli", "kitchen", *words]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(line, cwd=self.folder, env=self.environment, text=True, **both)  # type: ignore[call-overload,no-any-return]

    def root(self, name: str) -> Path:
        """The disk of a host, as this machine sees it."""
        return self.provider.project.host_directory(name) / "root"

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
    assert traces(kitchen.provider.project.identifier) == NOTHING


def wait_for(condition: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Until it holds; a command that ended before, or that takes a minute, fails the test."""
    deadline = time.monotonic() + 60
    while not condition():
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()[0]
        time.sleep(0.01)


RECIPE = """\
from cookline import Execute, File, Node


def recipe(node: Node) -> None:
    node.ensure(File("/etc/told", "once\\n"))
    {more}
"""
SUITE = """\
platforms: [debian-12]
suites:
  default:
    recipes: [web]
    hooks: {post_create: [{remote: touch /root/made}], pre_verify: ["$COOKLINE_KITCHEN_SSH rm /root/made"]}
  calm: {recipes: ["web::calm"]}
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
    (book / "recipes" / "calm.py").write_text(RECIPE.format(more=""))
    test.write_text(TEST.format(word="twice"))
    restless = kitchen.run("converge")
    assert restless.returncode == 1 and "2 hosts: 1 good, 1 failed" in restless.stdout
    assert "the second converge must change nothing" in restless.stdout
    assert "Execute[date > /tmp/when] (cookbooks/web/recipes/default.py:6)" in restless.stdout

    recipe.write_text(RECIPE.format(more=""))
    wrong = kitchen.run("verify", "web-debian-12")  # with the file that was made with the host, or its hook fails
    assert wrong.returncode == 1 and "test_the_file_says_twice" in wrong.stdout
    assert "test_the_file_says_twice" in kitchen.good("logs", "web-debian-12")
    assert kitchen.good("exec", "web-debian", "--", "cat /etc/told") == "once\n"

    test.write_text(TEST.format(word="once"))
    kitchen.good("exec", "web-debian", "--", "touch /root/made")
    assert "1 test passed" in kitchen.good("verify", "web-debian-12")
    kitchen.good("fault", "reboot", "web-debian-12")
    assert kitchen.run("exec", "web-debian", "--", "exit 7").returncode == 7
    ssh = ["ssh", "-F", str(kitchen.directory / "kitchen" / "ssh_config"), "web-debian-12", "true"]
    assert subprocess.run(ssh, timeout=30).returncode == 0
    kitchen.good("destroy")
    assert "absent" in kitchen.good("list")


def test_ctrl_c_stops_the_run_on_the_host_before_its_next_resource(kitchen: Kitchen) -> None:
    kitchen.good("init", "web")
    steps = 'node.ensure(Execute("touch /root/begun; until test -e /root/go; do sleep 0.1; done"))'
    after = 'node.ensure(File("/root/after", "x"))'
    recipe = kitchen.folder / "cookbooks/web/recipes/default.py"
    recipe.write_text(RECIPE.format(more=f"{steps}\n    {after}"))
    with kitchen.started("converge", "web-debian-12") as running:
        wait_for(lambda: (kitchen.root("web-debian-12") / "root/begun").exists(), running)
        busy = kitchen.run("destroy", "web-debian-12")
        assert busy.returncode == 5 and "web-debian-12 is being worked on by process" in busy.stderr
        running.send_signal(signal.SIGINT)
        output = running.communicate(timeout=30)[0]
    assert running.returncode == 130 and "interrupted" in output and "cookline kitchen destroy" in output
    kitchen.good("exec", "web-debian-12", "--", "touch /root/go")
    recipe.write_text(RECIPE.format(more=""))
    kitchen.good("converge", "web-debian-12")  # it waits for the lock of the run that was stopped
    assert kitchen.run("exec", "web-debian-12", "--", "test -e /root/after").returncode == 1


def test_what_a_killed_command_left_is_destroyed(kitchen: Kitchen) -> None:
    with kitchen.started("create", "--hosts", "2") as running:
        wait_for(lambda: (kitchen.provider.project.host_directory("web1") / "root").exists(), running)
        running.kill()
    assert kitchen.run("list").stdout.count("it was not made to the end") == 2
    assert kitchen.good("destroy") == "web1 is gone\nweb2 is gone\n"
    assert traces(kitchen.provider.project.identifier) == NOTHING


STATIC = """\
platforms:
  one: {{provider: static, settings: {{address: {address}, identity_file: {key}, user: ops}}}}
suites: {{default: {{recipes: [web]}}}}
"""


def test_a_suite_runs_on_a_host_that_somebody_else_has_made(kitchen: Kitchen) -> None:
    kitchen.good("create", "--hosts", "1", "--name", "theirs")
    [host] = kitchen.provider.status([HostRequest("theirs1")])
    kitchen.good("init", "web")
    suite = STATIC.format(address=host.address, key=host.identity_file)
    (kitchen.folder / "cookbooks/web/kitchen.yml").write_text(suite)
    (kitchen.directory / "kitchen" / "known_hosts").rename(kitchen.directory / "known_hosts")
    stranger = kitchen.run("test", "web", "--destroy", "always")
    assert stranger.returncode == 0 and "web-one  verified  5 of 5 checks" in stranger.stdout
    assert "theirs1" in kitchen.good("list") and "absent" in kitchen.good("list", "web-one")


def test_what_was_refused_before_anything_was_made_leaves_nothing(kitchen: Kitchen) -> None:
    for words, said in ((["241"], "240 hosts are the most"), (["1", "--platform", "debian13"], "there is no image 'debian13'")):
        refused = kitchen.run("create", "--hosts", *words)
        assert refused.returncode == 2 and said in refused.stderr
    assert kitchen.provider.project.names() == [] and "web1" not in kitchen.good("list")


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
