"""A controller that is killed at any point of a rollout, or of a burst of joins: everything ends, nothing runs twice.

Real processes and real SIGKILLs; the hosts' journals on disk are the witnesses. `make test` takes a few of the points.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from cookline.control.lifecycle.account import of_command
from cookline.control.store.runs import CommandRecord
from cookline.control.store.store import Store

CONTROLLER = Path(__file__).with_name("controller.py")
POINTS = 200 if os.environ.get("COOKLINE_SOAK") else 8
APPS = tuple(f"app{number}" for number in range(1, 6))
NAMES = json.dumps({"lb1": "lb", **dict.fromkeys(APPS, "app")})
SETUP = {"kind": "setup", "stack": "shop"}
ROLLOUT = {"kind": "deploy", "stack": "shop", "apps": ["shop"]}
SCENARIOS = {
    "all goes well": {**ROLLOUT, "rollout": {"batch": ["2"], "gates": ["command:true"]}},
    "taken back": {
        **ROLLOUT,
        "attributes": {"web": {"fail": "app2"}},
        "rollout": {"batch": ["1", "2"], "gates": ["command:true"], "auto_rollback": True},
    },
    "a failure is tolerated": {
        **ROLLOUT,
        "attributes": {"web": {"fail": "app2"}},
        "rollout": {"batch": ["50%"], "max_unavailable": "1"},
    },
    "everybody joins": SETUP,
    "everybody is configured": {"kind": "configure", "stack": "shop"},
    "everybody joins in batches": {**SETUP, "rollout": {"batch": ["2"]}},
}


def begin(directory: Path, command: str, seconds: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(CONTROLLER), str(directory), command, str(seconds), NAMES]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(directory: Path, command: str, seconds: float = 0.0) -> list[str]:
    controller = begin(directory, command, seconds)
    output, _ = controller.communicate(timeout=240)
    assert controller.returncode == 0, output
    return output.splitlines()


def kill_after(controller: subprocess.Popen[str], lines: int, delay: float) -> None:
    """SIGKILL `delay` seconds after so many lines, or when it is done before."""
    assert controller.stdout is not None
    for number, _line in enumerate(controller.stdout, start=1):
        if number == lines:
            threading.Timer(delay, controller.send_signal, [signal.SIGKILL]).start()
    controller.communicate(timeout=120)


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet that is set up; each test has a copy."""
    directory = tmp_path_factory.mktemp("fleet")
    finish(directory, json.dumps(SETUP))
    for path in (directory / "disks").iterdir():
        path.unlink()
    return directory


def journals(directory: Path) -> Counter[tuple[str, str]]:
    """How often each host carried out each event."""
    found: Counter[tuple[str, str]] = Counter()
    for path in (directory / "disks").glob("*.json"):
        found[path.name.split(".")[0], json.loads(path.read_text())["event"]] += 1
    return found


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", range(POINTS))
def test_a_kill_at_any_point_loses_and_repeats_nothing(online: Path, tmp_path: Path, point: int) -> None:
    chance = random.Random(point)
    name = list(SCENARIOS)[point % len(SCENARIOS)]
    command = SCENARIOS[name]
    directory = tmp_path / "fleet"
    if command["kind"] != "setup":
        shutil.copytree(online, directory)
    else:
        directory.mkdir()
    kill_after(begin(directory, json.dumps(command), 0.1), chance.randint(1, 60), chance.random() * 0.1)
    if chance.random() < 0.3:  # the successor dies as well
        kill_after(begin(directory, "resume", 0.1), chance.randint(1, 30), chance.random() * 0.1)
    finish(directory, "resume")
    check(directory, name, command)


def test_a_pause_outlives_the_controller(online: Path, tmp_path: Path) -> None:
    directory = tmp_path / "fleet"
    shutil.copytree(online, directory)
    controller = begin(directory, json.dumps({**ROLLOUT, "rollout": {"batch": ["2"]}}), 0.1)
    assert controller.stdout is not None
    with Store(directory / ".cookline") as store:
        for line in controller.stdout:
            if line.startswith("batch "):
                store.rollouts.pause(store.runs.unfinished()[0].id)
            if line.startswith("paused"):
                controller.send_signal(signal.SIGKILL)
        controller.communicate(timeout=120)
        [left] = store.runs.unfinished()
        finish(directory, "resume")
        assert [each.id for each in store.runs.unfinished()] == [left.id], "it waits for somebody's word"
        assert journals(directory) == Counter({("app1", "deploy"): 1, ("app2", "deploy"): 1})
        store.rollouts.resume(left.id)
        lines = finish(directory, "resume")
        assert lines[-1] == "report deploy 0 {'successful': 5}"
    check(directory, "all goes well", {**ROLLOUT, "rollout": {"batch": ["2"]}})


def check(directory: Path, name: str, command: dict[str, object]) -> None:
    with Store(directory / ".cookline") as store:
        stack = store.revisions.stack_id("shop")
        [record] = [each for each in store.runs.commands(stack) if wanted(each, command)] or [None]
        if record is None:  # it died before it had written down what it was to do
            assert not list((directory / "disks").glob("*.json"))
            return
        assert store.runs.unfinished() == []
        assert record.exit_code is not None
        assert all(run.outcome is not None for run in store.runs.of_command(record.id))
        results, rollout = of_command(store, record.id)
    asked = [result for result in results if result.phase == 0]
    targets = list(APPS) if command["kind"] == "deploy" else list(json.loads(NAMES))
    assert sorted(result.instance for result in asked) == sorted(targets), "one outcome each"
    event = str(command["kind"])
    assert journals(directory) == expected(name, event)
    assert Counter(result.outcome for result in asked) == OUTCOMES[name]
    assert (rollout or {}).get("ended") == ENDED.get(name)


def wanted(record: CommandRecord, command: dict[str, object]) -> bool:
    kept = record.options["command"]
    return record.kind == command["kind"] and bool(kept.get("rollout")) == bool(command.get("rollout"))


OUTCOMES = {
    "all goes well": {"successful": 5},
    "taken back": {"failed": 3, "skipped": 2},
    "a failure is tolerated": {"successful": 4, "failed": 1},
    "everybody joins": {"successful": 6},
    "everybody is configured": {"successful": 6},
    "everybody joins in batches": {"successful": 6},
}
ENDED = {
    "all goes well": "completed",
    "taken back": "taken back",
    "a failure is tolerated": "completed",
    "everybody joins in batches": "completed",
}


def expected(name: str, event: str) -> Counter[tuple[str, str]]:
    times = 2 if name == "taken back" else 1
    targets = list(APPS) if event == "deploy" else list(json.loads(NAMES))
    if name == "taken back":
        targets = targets[:3]  # the batches are app1; app2 and app3; app4 and app5
    found = Counter({(each, event): times for each in targets})
    if event == "setup":
        found += Counter((each, "configure") for each in targets)
    return found
