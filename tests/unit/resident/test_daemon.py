"""The agent as a process of its own, out of a tree like the one that lies on hosts."""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import cookline
from cookline.host.resident import inventory
from cookline.host.resident.spool import Spool
from cookline.host.resources.file import File
from cookline.host.system import System

SETTINGS = {
    "instance": "web1",
    "instance_id": "i-1",
    "stack_id": "s-1",
    "layers": ["l-1"],
    "metrics": {"period": 1},
    "drift": {"interval": 3600, "splay": 0, "watch": True},
}


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A bundle: the host wing by copy, what it brings along by link."""
    tree = tmp_path_factory.mktemp("tree")
    source = Path(cookline.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source / "host", tree / "cookline/host", ignore=ignore)
    for name in ("__init__.py", "errors.py", "protocol.py"):
        shutil.copy(source / name, tree / "cookline" / name)
    for name in ("psutil", "watchdog", "jinja2", "markupsafe"):
        found = importlib.util.find_spec(name)
        (tree / name).symlink_to(Path(found.origin).parent)
    return tree


class Agent:
    """A daemon on a state directory of its own; `managed` is the directory that its runs converge."""

    def __init__(self, root, tree):
        self.state, self.managed, self.tree = root / "state", root / "managed", tree
        self.state.mkdir()
        self.managed.mkdir()
        self.process = None
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(str(root / "notify"))
        self.channel.settimeout(20)
        self.environment = {"COOKLINE_STATE": str(self.state), "NOTIFY_SOCKET": str(root / "notify")}

    def settle(self, **settings):
        (self.state / "agent.json").write_text(json.dumps({**SETTINGS, **settings}))

    def start(self, **environment):
        program = self.tree / "cookline/host/resident/__main__.py"
        command = [sys.executable, "-I", "-S", str(program)]
        self.process = subprocess.Popen(command, env={**self.environment, **environment}, stderr=subprocess.PIPE, text=True)
        while self.channel.recv(1000) != b"READY=1":
            pass

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=20)[1]
        return self.process.returncode, output

    def records(self, kind=None):
        records = list(Spool(str(self.state / "spool")).read(0, 100_000))
        return [record for record in records if kind in (None, record["kind"])]

    def findings(self):
        return [os.path.basename(record["data"]["resource"][:-1]) for record in self.records("finding")]

    def watches(self):
        """The watch sees, and the look at the start is over."""
        return self.records("watch") and (self.state / "findings.json").exists()

    def converge(self, **contents):
        """What a run does that declares these files."""
        declarations = {}
        for name, content in contents.items():
            file = File(f"{self.managed}/{name}", content, mode="0644", backup=False)
            file.apply(System(), {field: (None, value) for field, value in file.desired().items()})
            declarations[file.name] = {
                "kind": "File",
                "module": "cookline.host.resources.file",
                "declaration": file.declaration(),
                "desired": file.desired(),
                "paths": file.watched_paths(),
                "recipe": "base::default",
                "line": 7,
            }
        inventory.record_run("run1", "setup", ["base::default"], declarations, path=str(self.state / "inventory.json"))


@pytest.fixture
def agent(tmp_path, tree):
    agent = Agent(tmp_path, tree)
    agent.settle()
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.process.kill()
        agent.process.communicate()
    agent.channel.close()


def test_it_beats_and_measures_under_every_series(agent, eventually):
    agent.start()
    metrics = eventually(lambda: agent.records("metric"))
    assert {(d["Name"], d["Value"]) for record in metrics for d in record["data"]["Dimensions"]} == {
        ("InstanceId", "i-1"),
        ("LayerId", "l-1"),
        ("StackId", "s-1"),
    }
    (beat,) = agent.records("heartbeat")
    assert beat["instance_id"] == "i-1" and beat["data"]["pid"] == agent.process.pid
    eventually(lambda: len({record["data"]["Timestamp"] for record in agent.records("metric")}) >= 3)


def test_it_is_small(agent, eventually):
    agent.converge(**{f"file{number}": "x" for number in range(100)})
    agent.start()
    eventually(lambda: agent.records("watch"))
    eventually(lambda: agent.records("metric"))
    with open(f"/proc/{agent.process.pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    assert int(status["Threads"]) <= 8
    assert int(status["VmRSS"].split()[0]) < 30 * 1024
    links = [os.readlink(entry) for entry in Path(f"/proc/{agent.process.pid}/fd").iterdir() if entry.is_symlink()]
    assert sum("inotify" in link for link in links) == 1
    with open(f"/proc/{agent.process.pid}/maps") as file:
        assert "_ssl" not in file.read()


def test_the_daemon_imports_neither_jinja2_nor_ssl(agent):
    code = f"import sys; sys.path[:0] = [{str(agent.tree)!r}]; import cookline.host.resident.daemon; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not {"'jinja2'", "'ssl'", "'http.client'", "'cookline.host.resources.base'"} & set(
        done.stdout.strip("[]\n").split(", ")
    )


def test_it_goes_at_once_and_cleanly_when_asked(agent):
    agent.start()
    status, output = agent.stop()
    assert status == 0 and "Traceback" not in output
    while agent.channel.recv(1000) != b"STOPPING=1":
        pass


def test_systemd_s_watchdog_is_pinged(agent):
    agent.start(WATCHDOG_USEC="300000")
    assert [agent.channel.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_a_change_of_a_managed_file_is_a_finding_of_the_watch(agent, eventually):
    agent.converge(a="declared\n", b="declared\n")
    agent.start()
    eventually(agent.watches)
    (agent.managed / "a").write_text("changed\n")
    eventually(agent.findings)
    (record,) = agent.records("finding")
    assert record["data"]["detected_by"] == "watch" and agent.findings() == ["a"]


def test_what_changed_while_it_was_away_is_a_finding_of_the_timer(agent, eventually):
    agent.converge(a="declared\n")
    (agent.managed / "a").write_text("changed\n")
    agent.start()
    eventually(agent.findings)
    assert agent.records("finding")[0]["data"]["detected_by"] == "timer"


def test_writes_of_a_run_are_no_drift_and_what_comes_after_is(agent, eventually):
    agent.converge(a="declared\n", b="declared\n")
    agent.start()
    eventually(agent.watches)
    with open(agent.state / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"run": "R1", "event": "setup", "stack": "shop", "since": 0}))
        lock.flush()
        agent.converge(a="newer\n", b="declared\n")
        os.ftruncate(lock.fileno(), 0)
    (agent.managed / "b").write_text("changed\n")
    eventually(agent.findings)
    assert agent.findings() == ["b"]


def test_paths_that_a_later_run_declares_are_watched(agent, eventually):
    agent.start()
    eventually(agent.watches)
    agent.converge(late="declared\n")

    def changed():
        (agent.managed / "late").write_text("changed\n")
        return agent.findings()

    assert eventually(changed, pause=0.3) == ["late"]


def test_numbers_go_on_after_a_restart(agent, eventually):
    agent.start()
    eventually(lambda: agent.records("metric"))
    agent.stop()
    before = [record["seq"] for record in agent.records()]
    agent.start()
    eventually(lambda: len(agent.records("heartbeat")) == 2)
    numbers = [record["seq"] for record in agent.records()]
    assert numbers[: len(before)] == before and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_broken_settings_are_told_and_mended_ones_taken_over(agent, eventually):
    (agent.state / "agent.json").write_text("{")
    agent.start()
    eventually(lambda: agent.records("heartbeat"))
    assert "cannot be read" in agent.records("log")[0]["data"]["text"]
    agent.settle()
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: agent.records("metric"))


def test_a_broken_inventory_is_told_and_the_next_run_mends_it(agent, eventually):
    (agent.state / "inventory.json").write_text("{")
    agent.start()
    eventually(lambda: any("drift" in record["data"]["text"] for record in agent.records("log")))
    assert agent.process.poll() is None
    agent.converge(a="declared\n")

    def changed():
        (agent.managed / "a").write_text("changed\n")
        return agent.findings()

    assert eventually(changed, pause=0.3) == ["a"]


def test_a_watch_that_cannot_be_tried_says_so_and_the_timer_stands_in(agent, eventually):
    (agent.state / "watch-canary").write_text("no directory")
    agent.converge(a="declared\n")
    (agent.managed / "a").write_text("changed\n")
    agent.start()
    (health,) = eventually(lambda: agent.records("watch"))
    assert health["data"]["healthy"] is False and health["data"]["reason"]
    eventually(agent.findings)


def test_without_the_watch_only_the_timer_looks(agent, eventually):
    agent.settle(drift={"interval": 1, "splay": 0, "watch": False})
    agent.converge(a="declared\n")
    agent.start()
    eventually(lambda: agent.records("heartbeat"))
    (agent.managed / "a").write_text("changed\n")
    eventually(agent.findings)
    assert agent.records("finding")[0]["data"]["detected_by"] == "timer" and agent.records("watch") == []


def test_a_thread_dump_is_written_on_request(agent):
    agent.start()
    agent.process.send_signal(signal.SIGUSR1)
    for line in agent.process.stderr:
        if "daemon.py" in line:
            break
    assert agent.stop()[0] == 0
