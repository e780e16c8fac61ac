"""Whole commands against faults: killed controllers, two of them, Ctrl-C, hosts that cannot be reached, leaking secrets."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import LabHosts
from tests.e2e.project import Project, read_until
from tests.lab.hosts import LabHost

SLOW = """
    def recipe(node):
        for number in range(10):
            node.ensure(Execute(f"sleep 0.2; echo {number} >> /root/done"))
"""
EACH_ONCE = "".join(f"{number}\n" for number in range(10))

MakeProject = Callable[..., Project]


@pytest.fixture
def project(host: LabHost, tmp_path: Path) -> MakeProject:
    def make(**values: object) -> Project:
        made = Project(tmp_path, [host], **values).write()  # type: ignore[arg-type]
        made.good("push", "test.yml")
        return made

    return make


def test_a_killed_controller_is_taken_up_by_resume_and_nothing_runs_twice(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": "def recipe(node): pass", "configure": SLOW})
    shop.good("setup", "test")
    host.run("rm /root/done", check=True)
    with shop.begin("configure", "test") as process:
        read_until(process, "Execute[sleep 0.2; echo 1 ")
        process.send_signal(signal.SIGKILL)
    assert "unfinished" in shop.good("status", "test").out, "reading takes nothing up"
    resumed = shop.good("resume")
    assert "configure" in resumed.out and "successful" in resumed.out
    assert host.run("cat /root/done").stdout == EACH_ONCE
    assert shop.good("status", "test", "--json").json["unfinished"] == []


def test_the_next_command_names_and_ends_what_a_killed_controller_left(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": SLOW, "configure": "def recipe(node): pass"})
    with shop.begin("setup", "test") as process:
        read_until(process, "Execute[sleep 0.2; echo 1 ")
        process.send_signal(signal.SIGKILL)
    said = shop.good("configure", "test")
    assert "an earlier command did not end: setup" in said.err
    assert host.run("cat /root/done").stdout == EACH_ONCE
    assert shop.good("status", "test", "--json").json["instances"][0]["state"] == "online"


def test_a_second_controller_is_told_who_works_and_ends_with_5(project: MakeProject) -> None:
    shop = project(recipes={"setup": SLOW})
    with shop.begin("setup", "test") as first:
        read_until(first, "Execute[")
        second = shop.cookline("setup", "test")
        assert second.status == 5 and f"pid {first.pid}" in second.err
        assert shop.cookline("status", "test").status == 0, "who only looks is not kept out"
        assert first.wait(60) == 0


def test_another_directory_is_another_store_and_takes_over_only_when_told(
    host: LabHost, project: MakeProject, tmp_path: Path
) -> None:
    project(recipes={"setup": "def recipe(node): pass"}).good("setup", "test")
    other = Project(tmp_path / "other", [host], {"setup": "def recipe(node): pass"}).write()
    other.good("push", "test.yml")
    refused = other.cookline("setup", "test")
    assert refused.status == 1 and "managed by another store" in refused.err
    assert other.cookline("setup", "test", "--take-over").status == 0


def test_a_backup_that_is_brought_back_works_on_once_it_is_told_to(host: LabHost, project: MakeProject, tmp_path: Path) -> None:
    shop = project(recipes={"setup": "def recipe(node): node.ensure(File('/etc/shop', content='1'))"})
    shop.good("setup", "test")
    shop.good("backup", "monday.tar")
    copy = Project(tmp_path / "copy", [host])
    (copy.folder / ".cookline").mkdir(mode=0o700, parents=True)
    subprocess.run(["tar", "-xf", shop.folder / "monday.tar", "-C", copy.folder / ".cookline"], check=True)
    assert copy.good("status", "test", "--json").json["instances"][0]["state"] == "online"
    refused = copy.cookline("setup", "test")
    assert refused.status == 1 and "managed by another store" in refused.err
    copy.good("setup", "test", "--take-over")
    assert "managed by another store" in shop.cookline("setup", "test").err, "and the original is kept off"


def test_ctrl_c_once_waits_for_what_runs_and_begins_nothing_more(lab_hosts: LabHosts, tmp_path: Path) -> None:
    host = lab_hosts(1)[0]
    shop = Project(tmp_path, [host], {"setup": SLOW, "configure": "def recipe(node): pass"}).write()
    shop.good("push", "test.yml")
    with shop.begin("setup", "test") as process:
        read_until(process, "Execute[")
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "what runs is waited for" in rest
    assert host.run("cat /root/done").stdout == EACH_ONCE
    assert shop.good("status", "test", "--json").json["unfinished"] == []


def test_ctrl_c_twice_detaches_and_the_run_goes_on(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": SLOW})
    with shop.begin("setup", "test") as process:
        read_until(process, "Execute[")
        process.send_signal(signal.SIGINT)
        read_until(process, "what runs is waited for")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        rest = process.stdout.read()  # what was read ahead is lost to communicate()
        process.wait(10)
    assert process.returncode == 130 and "cookline resume" in rest
    assert shop.cookline("resume").status == 130, "the first Ctrl-C had cancelled what had not begun"
    assert host.run("cat /root/done").stdout == EACH_ONCE


def test_a_recipe_that_restarts_sshd_and_the_agent_in_mid_run_ends_well(host: LabHost, project: MakeProject) -> None:
    body = """
        def recipe(node):
            node.ensure(Execute("systemctl restart ssh cookline-agent; pkill -KILL -f '[s]shd: root' || true"))
            node.ensure(File("/root/after", content="x"))
    """
    shop = project(recipes={"setup": "def recipe(node): pass", "configure": body})
    shop.good("setup", "test")
    assert host.testinfra.file("/root/after").exists
    assert host.testinfra.service("cookline-agent").is_running


def test_hosts_that_cannot_be_reached_each_have_an_outcome_and_the_totals_add_up(lab_hosts: LabHosts, tmp_path: Path) -> None:
    good, dead = lab_hosts(2)
    shop = Project(tmp_path, [good, dead], {"setup": "def recipe(node): pass"}).write()
    shop.good("push", "test.yml")
    dead.power_cut()
    said = shop.cookline("setup", "test", "--json")
    assert said.status == 4
    setups = {result["instance"]: result for result in said.json["results"] if result["event"] == "setup"}
    assert setups[good.name]["outcome"] == "successful" and setups[dead.name]["outcome"] == "unreachable"
    assert sum(said.json["totals"].values()) == len(said.json["results"])
    dead.boot()
    assert shop.cookline("setup", "test").status == 0


def test_a_changed_host_key_is_refused_and_trusted_on_purpose(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": "def recipe(node): pass"})
    host.run("rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh")
    refused = shop.cookline("setup", "test")
    assert refused.status == 4 and "cookline trust" in refused.err + refused.out
    shown = shop.cookline("trust", host.name, "--stack", "test")
    assert shown.status == 3 and shown.out.count("SHA256:") >= 2, "old beside new, nothing pinned without a yes"
    shop.good("trust", host.name, "--stack", "test", "--yes")
    shop.good("setup", "test")


def test_a_key_that_is_known_from_elsewhere_is_pinned_when_the_host_shows_it(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": "def recipe(node): pass"})
    pins = shop.folder / ".cookline" / "known_hosts"
    pins.write_text("")
    kind, blob = host.known_host.split()[:2]
    another = f"{kind} {blob[:-4]}AAAA"
    place = f"root@{host.address}"
    refused = shop.cookline("trust", place, "--key", another)
    assert refused.status == 4 and refused.err.count("SHA256:") == 2 and pins.read_text() == ""
    assert shop.cookline("trust", place, "--key", "ssh-ed25519 nonsense").status == 2
    shop.good("push", "test.yml")
    shop.good("trust", place, "--key", f"{kind} {blob} root@{host.name}")
    shop.good("setup", "test")


def test_sudo_that_asks_for_a_password_is_named(host: LabHost, project: MakeProject) -> None:
    shop = project(recipes={"setup": "def recipe(node): pass"}, settings={"user": "deployer"})
    said = shop.cookline("setup", "test")
    assert said.status == 4 and "NOPASSWD" in said.err + said.out


def test_a_failed_recipe_shows_its_own_line_and_setup_failed(project: MakeProject) -> None:
    shop = project(recipes={"setup": "def recipe(node):\n    raise ValueError('no shop today')", "configure": SLOW})
    said = shop.cookline("setup", "test")
    assert said.status == 1
    assert "no shop today" in said.err and "cookbooks/test/recipes/setup.py:3" in said.err
    status = shop.good("status", "test", "--json").json
    assert status["instances"][0]["state"] == "setup_failed"
    assert status["instances"][0]["last_event"] == "setup", "nobody is configured after a setup that failed"


def test_a_secret_is_in_no_output_and_in_no_file_but_where_secrets_are_kept(host: LabHost, project: MakeProject) -> None:
    body = """
        def recipe(node):
            node.ensure(File("/root/secret", content="password=" + node["test"]["password"] + chr(10), mode="0600"))
            node.ensure(Execute("echo the password is " + node["test"]["password"] + " >&2; false"))
    """
    extra = {"attributes": {"test": {"password": "SECRET"}}}
    shop = project(recipes={"setup": body}, extra=extra)
    definition = shop.folder / "test.yml"
    definition.write_text(definition.read_text().replace('"SECRET"', "!secret generated:canary"))
    shop.good("push", "test.yml")
    said = shop.cookline("setup", "test")
    shown = shop.cookline("show", said.out.split("cookline show ")[-1].split("`")[0]) if "cookline show" in said.out else said
    secret = host.run("cat /root/secret").stdout.strip().removeprefix("password=")
    assert len(secret) >= 20 and said.status == 1
    runs = shop.good("runs", "test", "--json")
    for text in (said.out, said.err, shown.out, runs.out):
        assert secret not in text
    holders = [path for path in shop.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert [path.name for path in holders] == ["secrets.json"]
    assert os.stat(holders[0]).st_mode & 0o777 == 0o600
    journals = host.run(f"grep -rl {secret} /var/lib/cookline/runs /var/log /tmp /etc /run/log 2>/dev/null")
    assert journals.stdout == ""


def test_facts_are_asked_of_the_host(host: LabHost, project: MakeProject) -> None:
    fact = "def fact(host):\n    return {'kernel': host.query(['uname', '-s']).stdout.strip()}\n"
    shop = project(
        recipes={"setup": "def recipe(node): node.log(node.facts.test.machine.kernel)"}, files={"facts/machine.py": fact}
    )
    assert shop.good("facts", host.name, "os.codename").out == "bookworm\n"
    unsent = shop.cookline("facts", host.name, "test")
    assert unsent.status == 2 and "a plan or a run brings the cookbook there" in unsent.err
    assert shop.cookline("plan", "test", "setup").status == 3
    assert shop.good("facts", host.name, "test.machine.kernel").out == "Linux\n"
    assert shop.good("facts", host.name, "users.root.home").out == "/root\n"
    assert shop.good("facts", host.name, "reboot.required").out == "False\n"
    assert shop.good("facts", host.name, "services", "--json").json["ssh.service"]["running"] is True
    assert shop.good("facts", host.name, "--json").json["os"]["family"] == "debian"
    wrong = shop.cookline("facts", host.name, "os.codenam")
    assert wrong.status == 2 and "did you mean 'codename'" in wrong.err


def test_undo_puts_back_what_a_run_changed_and_says_what_it_cannot(host: LabHost, project: MakeProject) -> None:
    body = """
        def recipe(node):
            node.ensure(File("/root/file", content="new", mode="0600"))
            node.ensure(Directory("/root/made"))
            node.ensure(File("/root/made/inside", content="x"))
            node.ensure(Package("cookline-hello"))
            node.ensure(Service("cron", running=False, enabled=False))
            node.ensure(Execute("touch /root/ran"))
    """
    shop = project(recipes={"setup": "def recipe(node): pass", "undeploy": body})
    shop.good("setup", "test", "--on", host.name)
    host.run("printf old > /root/file; chmod 0644 /root/file; chown ops:ops /root/file", check=True)
    run = shop.good("run", "test", "test::undeploy", "--json").json["results"][0]["run"]
    assert host.run("cat /root/file; systemctl is-active cron").stdout == "newinactive\n"

    shown = shop.good("undo", run, "--show")
    assert "cannot undo Execute[touch /root/ran]" in shown.out and shown.out.count("puts back") == 5
    assert host.run("cat /root/file").stdout == "new", "showing changes nothing"

    undone = shop.good("undo", run)
    assert "not undone: Execute[touch /root/ran]" in undone.out
    assert host.run("stat -c '%a %U' /root/file; cat /root/file").stdout == "644 ops\nold"
    assert not host.testinfra.file("/root/made").exists
    assert not host.testinfra.package("cookline-hello").is_installed
    assert host.testinfra.service("cron").is_running and host.testinfra.service("cron").is_enabled
    assert host.testinfra.file("/root/ran").exists
    assert "5 unchanged" in shop.good("undo", run).out
