"""`cookline demo`, on real hosts: it is run once, and each of its seven steps is looked at from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hosts import owned_directory

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
HOSTS = {"lb1": "haproxy", "app1": "app", "app2": "app", "db1": "postgres"}


@dataclass
class Demo:
    """A finished demo: what it printed, and its hosts, which are still up."""

    directory: Path
    output: str

    def cookline(self, *words: str) -> subprocess.CompletedProcess[str]:
        return cookline(self.directory, *words)

    def ask(self, *words: str) -> Any:
        done = self.cookline(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @cached_property
    def addresses(self) -> dict[str, str]:
        return {each["name"]: each["address"] for each in self.ask("status", "shop")["instances"]}

    def visit(self, path: str = "/", accept: str = "*/*") -> tuple[int, str]:
        """Status and body of a request to the balancer."""
        with contextlib.closing(http.client.HTTPConnection(self.addresses["lb1"], timeout=10)) as connection:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ssh(self, name: str, command: str) -> str:
        line = ["ssh", "-F", str(self.ssh_config), name, command]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout

    @cached_property
    def ssh_config(self) -> Path:
        path = self.directory / "test_ssh_config"
        key = next((self.directory / "providers").rglob("id_ed25519"))
        hosts = "".join(f"Host {name}\n  HostName {address}\n" for name, address in self.addresses.items())
        known = self.directory / "known_hosts"
        path.write_text(f"{hosts}Host *\n  User root\n  IdentityFile {key}\n  UserKnownHostsFile {known}\n  LogLevel ERROR\n")
        return path


def cookline(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COOKLINE_DIRECTORY": str(directory)}
    line = [sys.executable, "-m", "cookline.cli", *words]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with owned_directory() as directory:
        try:
            done = cookline(directory, "demo")
            assert done.returncode == 0, done.stdout + done.stderr
            yield Demo(directory, done.stdout)
        finally:
            ended = cookline(directory, "demo", "--down")
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_it_keeps_all_its_promises(demo: Demo) -> None:
    assert "All seven steps are as promised" in demo.output
    assert re.findall(r"^(\d)\. ", demo.output, re.MULTILINE) == list("1234567")
    assert len(re.findall(r"step \d took [\d.]+ s", demo.output)) == 7


def test_1_four_hosts_run_systemd(demo: Demo) -> None:
    assert set(demo.addresses) == set(HOSTS)
    for name in HOSTS:
        assert demo.ssh(name, "hostname; ps -o comm= 1").split() == [name, "systemd"]


def test_2_the_plan_came_from_the_hosts(demo: Demo) -> None:
    planned = demo.output.split("\n2. ")[1].split("\n3. ")[0]
    assert "$ cookline push stacks/shop.yml" in planned
    assert "Package[haproxy]" in planned and "Package[postgresql]" in planned


def test_3_every_instance_is_online_and_says_so(demo: Demo) -> None:
    for each in demo.ask("status", "shop")["instances"]:
        assert each["state"] == "online"
        assert each["outcome"] == "successful"
        assert each["last_event"] == "configure"
        assert each["heartbeat_age"] < 120


@pytest.mark.parametrize("name", HOSTS)
def test_3_the_cookbooks_own_tests_pass(demo: Demo, name: str) -> None:
    folders = ["cookbooks/base/tests/test_base.py", f"cookbooks/{HOSTS[name]}/tests/test_{HOSTS[name]}.py"]
    options = [f"--ssh-config={demo.ssh_config}", f"--hosts=ssh://{name}", "-p", "no:cacheprovider", "-p", "no:xdist"]
    line = [sys.executable, "-m", "pytest", "-q", *options, *folders]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_4_both_servers_answer_in_turn_with_a_row_of_the_database(demo: Demo) -> None:
    answers = [json.loads(demo.visit()[1]) for _ in range(4)]
    assert {answer["host"] for answer in answers[:2]} == {"app1", "app2"}
    assert [answer["host"] for answer in answers[:2]] == [answer["host"] for answer in answers[2:]]
    row = "runuser -u postgres -- psql -tA shop -c 'SELECT name, stock FROM product WHERE id = 1'"
    name, stock = demo.ssh("db1", row).strip().split("|")
    assert all(answer["product"] == {"name": name, "stock": int(stock)} for answer in answers)
    assert f"<h1>{name}</h1>" in demo.visit(accept="text/html")[1]


def test_5_the_server_left_and_came_back(demo: Demo) -> None:
    left = demo.output.split("\n5. ")[1].split("\n6. ")[0]
    assert "four requests, all answered by app1" in left
    assert "app1 and app2 answer again" in left
    kinds = [command["kind"] for command in reversed(demo.ask("runs", "shop"))]
    assert [kind for kind in kinds if kind in ("stop", "start")] == ["stop", "start"]


def test_6_the_second_time_nothing_changed(demo: Demo) -> None:
    last = demo.ask("runs", "shop", "--limit", "1")[0]
    assert last["kind"] == "setup"
    ends = {(run["instance"], run["event"]): (run["outcome"], run["changed"]) for run in last["runs"]}
    assert ends == {(name, event): ("successful", 0) for name in HOSTS for event in ("setup", "configure")}
    assert re.search(r"of four hosts: [\d.]+ s", demo.output)
    assert re.search(r"`ssh lb1 true`: [\d.]+ s", demo.output)


def test_7_cpu_and_memory_came_from_the_sink(demo: Demo) -> None:
    measured = demo.output.split("\n7. ")[1]
    for name in HOSTS:
        for what in ("CPU", "memory"):
            assert re.search(rf"{name}, {what} in use .* now [\d.]+", measured)
        assert re.search("[▁▂▃▄▅▆▇█]{3}", measured)


def test_the_password_is_where_it_belongs_and_nowhere_else(demo: Demo) -> None:
    environment = demo.ssh("app1", "cat /etc/shop.env")
    password = re.search(r'PGPASSWORD="(.+)"', environment)[1]  # type: ignore[index]
    assert password not in demo.output
    places = "/var/log /run/log /etc/systemd /var/lib/cookline/runs/*/journal.ndjson"
    for name in HOSTS:
        assert password not in demo.ssh(name, "journalctl --no-pager; ps axww -o args")
        assert demo.ssh(name, f"grep --recursive --files-with-matches -e '{password}' {places} 2>/dev/null || true") == ""


def test_somebody_s_edit_is_found_and_undone(demo: Demo) -> None:
    demo.ssh("lb1", "echo '# mine' >> /etc/haproxy/haproxy.cfg")
    found = demo.cookline("drift", "shop", "--check")
    assert found.returncode == 3, found.stdout + found.stderr
    assert "/etc/haproxy/haproxy.cfg" in found.stdout
    assert demo.cookline("configure", "shop", "--on", "lb1").returncode == 0
    assert "# mine" not in demo.ssh("lb1", "cat /etc/haproxy/haproxy.cfg")


class Visitor:
    """Asks the balancer again and again until it is left; `bad` is every answer that was no answer."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.asked, self.bad = demo, 0, list[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._over.is_set():
            self.asked += 1
            try:
                status, body = self.demo.visit()
            except OSError as error:
                status, body = 0, repr(error)
            if status != 200:
                self.bad.append(f"{status} {body[:200]}")

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_visitors_notice_nothing_of_a_server_that_is_stopped(demo: Demo) -> None:
    with Visitor(demo) as visitor:
        stopped = demo.cookline("stop", "shop", "app2")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert visitor.asked > 10 and visitor.bad == []
    runs = demo.ask("runs", "shop", "--limit", "1")[0]["runs"]
    begun = sorted((run["started"], run["instance"], run["event"]) for run in runs)
    assert [each[1:] for each in begun[:2]] == [("lb1", "configure"), ("app2", "shutdown")]
    with Visitor(demo) as visitor:
        started = demo.cookline("start", "shop", "app2")
    assert started.returncode == 0, started.stdout + started.stderr
    assert visitor.bad == []


def test_a_bad_version_takes_itself_back_and_visitors_notice_nothing(demo: Demo, tmp_path: Path) -> None:
    stacks = tmp_path / "stacks"
    shutil.copytree(ROOT / "stacks", stacks)
    definition = stacks / "shop.yml"
    definition.write_text(definition.read_text().replace("[../cookbooks]", f"[{ROOT / 'cookbooks'}]"))
    server = stacks / "apps" / "shop" / "server.py"
    server.write_text(server.read_text().replace("self.send_response(status)", "self.send_response(500)"))
    before = {name: demo.ssh(name, "sha256sum /srv/www/shop/current/server.py") for name in ("app1", "app2")}
    assert demo.cookline("push", str(definition)).returncode == 0
    words = "deploy shop --app shop --batch 1 --gate http://{address}:8080/health --gate-within 3 --auto-rollback --drain"
    with Visitor(demo) as visitor:
        done = demo.cookline(*words.split())
    assert done.returncode == 1
    assert "rollout taken back after 1 of 2 batches" in done.stdout, done.stdout + done.stderr
    assert visitor.asked > 10 and visitor.bad == []
    assert {name: demo.ssh(name, "sha256sum /srv/www/shop/current/server.py") for name in before} == before
    assert {json.loads(demo.visit()[1])["host"] for _ in range(4)} == {"app1", "app2"}
    ends = {each["instance"]: each for each in demo.ask("show", demo.ask("runs", "shop", "--limit", "1")[0]["id"])}
    assert {name for name, each in ends.items() if each["event"] == "deploy"} == {"app1", "app2"}
    assert demo.cookline("push", "stacks/shop.yml").returncode == 0


def test_a_good_version_passes_gates_on_the_hosts_and_here(demo: Demo) -> None:
    words = ["deploy", "shop", "--app", "shop", "--batch", "50%", "--gate", "command:true"]
    good = demo.cookline(*words, "--gate", "ssh:systemctl is-active shop && test $(hostname) = {name}")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "rollout completed after 2 of 2 batches" in good.stdout
    bad = demo.cookline(*words, "--gate", "ssh:echo not today; exit 4", "--gate-within", "1")
    assert bad.returncode == 1
    assert "ended with 4: not today" in bad.stdout
    assert "never begun: 1 of 2 failed, tolerated are 0" in bad.stdout


def test_hosts_are_selected_by_what_they_are(demo: Demo) -> None:
    done = demo.cookline("configure", "shop", "--on", "layer:app,fact:os.codename=bookworm", "--json")
    assert {each["instance"] for each in json.loads(done.stdout)["results"]} == {"app1", "app2"}
    assert demo.cookline("configure", "shop", "--on", "fact:os.codename=sarge").returncode == 2


def test_an_app_is_restarted_stopped_and_started(demo: Demo) -> None:
    def process() -> str:
        return demo.ssh("app1", "systemctl show --property=MainPID --value shop").strip()

    before = process()
    for action in ("restart", "stop", "start"):
        done = demo.cookline("app", "shop", action, "--app", "shop")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (process() == "0") == (action == "stop")
        assert process() != before
    assert demo.cookline("app", "shop", "explode", "--app", "shop").returncode == 2


def test_dependencies_are_installed_alone_and_updates_are_for_security(demo: Demo) -> None:
    demo.ssh("lb1", "echo mine > /etc/motd; apt-get -qq --yes remove haproxy >/dev/null 2>&1")
    done = demo.cookline("install_dependencies", "shop", "--on", "lb1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert demo.ssh("lb1", "dpkg-query --show --showformat='${db:Status-Abbrev}' haproxy; cat /etc/motd") == "ii mine\n"
    updated = demo.cookline("update_dependencies", "shop", "--batch", "50%")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert "4 successful" in updated.stdout and "1 skipped" in updated.stdout
    assert "haproxy" in demo.cookline("update_cookbooks", "shop").stdout
    assert demo.cookline("setup", "shop", "--on", "lb1").returncode == 0


def test_an_undeployed_shop_leaves_nothing_and_the_balancer_says_503(demo: Demo) -> None:
    done = demo.cookline("undeploy", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert demo.ssh("app1", "ls /srv/www /etc/shop.env /etc/systemd/system/shop.service 2>/dev/null || true").split() == [
        "/srv/www:"
    ]
    assert demo.visit()[0] == 503
    again = demo.cookline("configure", "shop")
    assert again.returncode == 0, again.stdout + again.stderr
    back = demo.cookline("deploy", "shop")
    assert back.returncode == 0, back.stdout + back.stderr
