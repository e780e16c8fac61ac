"""The resident agent on a real host: put there by setup, small, seeing, lasting, and gone without a trace when asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cookline.host.resident.metrics import NAMES
from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

SETTINGS: dict[str, Any] = {
    "instance": "lab1",
    "instance_id": "i-1",
    "stack": "lab",
    "stack_id": "s-1",
    "layers": ["l-1", "l-2"],
    "metrics": {"period": 1, "namespace": "AWS/OpsWorks"},
    "drift": {"interval": 1800, "splay": 0, "watch": True},
    "report": "ssh",
    "spool": {"max_bytes": 16777216},
}
RECIPE = """
    def recipe(node):
        node.ensure(Directory("/srv/shop"))
        node.ensure(File("/srv/shop/motd", "declared\\n", mode="0644"))
        node.ensure(File("/etc/shop.conf", "port = 80\\n", mode="0600"))
"""
AGENT_PID = "$(systemctl show -p MainPID --value cookline-agent)"
Record = dict[str, Any]


class Agent:
    """The agent of one host, as a controller sees it."""

    def __init__(self, host: LabHost, controller: Controller) -> None:
        self.host, self.controller = host, controller
        self.records: list[Record] = []

    def setup(self, recipe: Controller | None = None, **settings: Any) -> dict[str, Any]:
        end = (recipe or self.controller).run(event="setup", agent={**SETTINGS, **settings})
        assert end["outcome"] == "successful", end
        return end

    def collect(self, kind: str | None = None) -> list[Record]:
        """Collect what is new, acknowledging what was collected before; all records so far (of one kind)."""
        last = self.records[-1]["seq"] if self.records else 0
        self.records += self.controller.conversation().collect(last, 100_000)[1]
        return [record for record in self.records if kind in (None, record["kind"])]

    def wait(self, what: Callable[[], Any], seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, self.host.run("journalctl -u cookline-agent --no-pager | tail -50").stdout
            time.sleep(0.05)
        return found

    def watches(self) -> bool:
        """The watch has been tried and the look at the start is over."""
        beat = self.host.run("cat /var/lib/cookline/findings.json").stdout
        return bool(beat) and any(record["data"].get("healthy") for record in self.collect("watch"))

    def findings(self) -> list[str]:
        return [record["data"]["resource"] for record in self.collect("finding")]


@pytest.fixture
def agent(host: LabHost, tmp_path: Path) -> Iterator[Agent]:
    controller = Controller(target_of(host, tmp_path), RECIPE)
    yield Agent(host, controller)
    controller.close()


def test_setup_installs_a_small_service_that_beats_and_measures(host: LabHost, agent: Agent) -> None:
    agent.setup()
    service = host.testinfra.service("cookline-agent")
    assert service.is_running and service.is_enabled
    assert host.testinfra.file("/var/lib/cookline/agent.json").mode == 0o600
    metrics = agent.wait(lambda: agent.collect("metric"))
    series = {(d["Name"], d["Value"]) for record in metrics for d in record["data"]["Dimensions"]}
    assert series == {("InstanceId", "i-1"), ("LayerId", "l-1"), ("LayerId", "l-2"), ("StackId", "s-1")}
    assert {record["data"]["MetricName"] for record in metrics} == set(NAMES)
    assert agent.collect("heartbeat")[0]["instance_id"] == "i-1"
    agent.wait(agent.watches)
    status = dict(line.split(":", 1) for line in host.run(f"cat /proc/{AGENT_PID}/status").stdout.splitlines())
    assert int(status["VmRSS"].split()[0]) < 30 * 1024
    assert int(status["Threads"]) <= 8
    assert host.run(f"ls -l /proc/{AGENT_PID}/fd | grep -c inotify").stdout == "1\n"


def test_a_second_setup_changes_nothing_and_restarts_nothing(host: LabHost, agent: Agent) -> None:
    agent.setup()
    pid = host.run(f"echo {AGENT_PID}").stdout
    end = agent.setup()
    assert end["totals"].get("changed", 0) == 0
    assert host.run(f"echo {AGENT_PID}").stdout == pid


def test_new_settings_reach_the_running_agent(host: LabHost, agent: Agent) -> None:
    agent.setup()
    agent.setup(layers=["l-9"])
    agent.wait(lambda: any(d["Value"] == "l-9" for r in agent.collect("metric") for d in r["data"]["Dimensions"]))


def test_a_change_by_hand_is_a_finding_of_the_watch(host: LabHost, agent: Agent) -> None:
    agent.setup()
    agent.wait(agent.watches)
    host.run("echo changed > /srv/shop/motd", check=True)
    agent.wait(agent.findings)
    (record,) = agent.collect("finding")
    finding = record["data"]
    assert (finding["resource"], finding["detected_by"]) == ("File[/srv/shop/motd]", "watch")
    assert [difference["field"] for difference in finding["differences"]] == ["content"]


def test_a_service_that_is_stopped_or_disabled_by_hand_is_a_finding_of_the_watch(host: LabHost, agent: Agent) -> None:
    watched = Controller(agent.controller.target, 'def recipe(node): node.ensure(Service("cron", running=True, enabled=True))')
    agent.setup(watched)
    watched.close()
    agent.wait(agent.watches)
    host.run("systemctl disable --now cron", check=True)
    agent.wait(agent.findings)
    finding = agent.collect("finding")[0]["data"]
    assert (finding["resource"], finding["detected_by"]) == ("Service[cron]", "watch")


def test_what_a_run_writes_is_no_drift(host: LabHost, agent: Agent, tmp_path: Path) -> None:
    agent.setup()
    agent.wait(agent.watches)
    newer = Controller(agent.controller.target, RECIPE.replace("declared", "newer").replace("80", "8080"))
    agent.setup(newer)
    newer.close()
    host.run("chmod 0640 /etc/shop.conf", check=True)
    agent.wait(agent.findings)
    assert agent.findings() == ["File[/etc/shop.conf]"]


def test_the_drift_operation_looks_at_once_and_says_since_when(host: LabHost, agent: Agent) -> None:
    agent.setup(drift={"interval": 0, "watch": False})
    host.run("rm /srv/shop/motd", check=True)
    answer, messages = agent.controller.conversation().drift()
    (first,) = messages
    assert answer["findings"] == 1 and first["detected_by"] == "manual"
    (again,) = agent.controller.conversation().drift()[1]
    assert again["since"] == first["since"]


def test_numbers_go_on_over_a_restart_a_power_cut_and_a_full_acknowledgement(host: LabHost, agent: Agent) -> None:
    agent.setup()
    agent.wait(lambda: len(agent.collect("metric")) > 100)
    host.run("systemctl restart cookline-agent", check=True)
    agent.wait(lambda: len(agent.collect("heartbeat")) == 2)
    host.power_cut()
    host.boot()
    agent.wait(lambda: len(agent.collect("heartbeat")) == 3, seconds=60)
    numbers = [record["seq"] for record in agent.records]
    assert numbers == sorted(set(numbers))
    assert len({record["boot"] for record in agent.records}) == 2


def test_a_killed_agent_comes_back(host: LabHost, agent: Agent) -> None:
    agent.setup()
    agent.wait(lambda: agent.collect("heartbeat"))
    host.run(f"kill -KILL {AGENT_PID}", check=True)
    agent.wait(lambda: len(agent.collect("heartbeat")) == 2)


def test_a_full_disk_is_told_of_when_there_is_room_again(host: LabHost, agent: Agent) -> None:
    # The state directory on a small file system of its own, which is really full.
    host.run("mkdir -p /var/lib/cookline && mount -t tmpfs -o size=24m,mode=0700 tmpfs /var/lib/cookline", check=True)
    agent.setup()
    agent.wait(lambda: agent.collect("metric"))
    host.run("cat /dev/zero > /var/lib/cookline/filler || true")
    agent.wait(lambda: "records are being lost" in host.run("journalctl -u cookline-agent --no-pager").stdout)
    assert host.testinfra.service("cookline-agent").is_running
    host.run("rm /var/lib/cookline/filler", check=True)
    agent.wait(lambda: any("No space left" in record["data"].get("text", "") for record in agent.collect("log")))
    lost = next(record["data"]["lost"] for record in agent.collect("log") if "lost" in record["data"])
    assert lost > 0


def test_a_blind_watch_says_so_the_timer_stands_in_and_it_sees_again(host: LabHost, agent: Agent) -> None:
    agent.setup(drift={"interval": 3, "splay": 0, "watch": True})
    agent.wait(agent.watches)
    # What is mounted over the canary hides it from the watch, as it hides what lies below from any watch.
    host.run("mount -t tmpfs tmpfs /var/lib/cookline/watch-canary && mount -t tmpfs tmpfs /srv/shop", check=True)
    agent.wait(lambda: "File[/srv/shop/motd]" in agent.findings())
    assert agent.collect("finding")[0]["data"]["detected_by"] == "timer"
    agent.wait(lambda: [record["data"]["healthy"] for record in agent.collect("watch")] == [True, False, True])
    assert "was not told of" in agent.collect("watch")[1]["data"]["reason"]


def test_uninstall_leaves_nothing_behind(host: LabHost, agent: Agent) -> None:
    agent.setup()
    host.run("python3 -I -S /var/lib/cookline/agent/cookline/host/resident/__main__.py uninstall", check=True)
    assert host.run("systemctl is-active cookline-agent").stdout == "inactive\n"
    assert host.run("ls -d /var/lib/cookline /etc/systemd/system/*cookline* /etc/systemd/system/*/*cookline*").stdout == ""
    assert host.run("cat /srv/shop/motd").stdout == "declared\n", "what recipes made stays"


def test_status_answers_with_the_last_heartbeat(agent: Agent) -> None:
    agent.setup()
    beat = agent.wait(lambda: agent.controller.conversation().status()["agent"])
    assert beat["age"] < 60 and json.dumps(beat["drift"])
