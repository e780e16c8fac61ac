"""A controller that is killed (a real process, a real SIGKILL) loses nothing: the next one attaches, and no host runs twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from kitchen import DiskTransport, Kitchen

CONTROLLER = Path(__file__).with_name("controller.py")


def start(directory: Path, kind: str, seconds: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, CONTROLLER, directory, kind, str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill_at(controller: subprocess.Popen[str], line: str) -> None:
    """SIGKILL as soon as a line that starts so is printed."""
    assert controller.stdout is not None
    seen = []
    for text in controller.stdout:
        seen.append(text)
        if text.startswith(line):
            break
    else:
        pytest.fail(f"{line!r} was never printed:\n{''.join(seen)}")
    controller.send_signal(signal.SIGKILL)
    controller.communicate()


def finish(controller: subprocess.Popen[str]) -> list[str]:
    output, _ = controller.communicate(timeout=60)
    assert controller.returncode == 0, output
    return output.splitlines()


def executed(directory: Path) -> Counter[str]:
    """ "instance event" to how often the host was made to run it: its journal is there from the moment at which it began."""
    journals = (directory / "disks").glob("*.json")
    return Counter(f"{path.name.split('.')[0]} {json.loads(path.read_text())['event']}" for path in journals)


ONCE_EACH = Counter(f"{name} {event}" for name in ("lb1", "app1", "app2") for event in ("setup", "configure"))


@pytest.mark.parametrize(
    "line",
    ["planned", "state app1", "run_started lb1", "changed app2", "outcome", "finished"],
)
def test_resume_ends_what_was_begun_and_runs_nothing_twice(tmp_path: Path, line: str) -> None:
    kill_at(start(tmp_path, "setup", 0.3), line)
    lines = finish(start(tmp_path, "resume", 0.0))
    if line == "finished":  # the store was told, the engine maybe not
        assert not [text for text in lines if text.startswith("report")]
    else:
        assert "resuming - -" in lines
        assert lines[-1] == "report setup 0 {'successful': 6}"
    assert executed(tmp_path) == ONCE_EACH


def test_the_next_command_ends_the_last_one_first(tmp_path: Path) -> None:
    kill_at(start(tmp_path, "setup", 0.3), "changed app2")
    lines = finish(start(tmp_path, "configure", 0.0))
    assert lines.index("resuming - -") < lines.index("finished - -") < lines.index("planned - -")
    assert lines[-1] == "report configure 0 {'successful': 3}"
    assert executed(tmp_path) == ONCE_EACH + Counter(f"{name} configure" for name in ("lb1", "app1", "app2"))


@pytest.mark.parametrize("line", ["planned", "run_started lb1", "outcome", "finished"])
def test_a_configure_is_taken_up_as_well(tmp_path: Path, line: str) -> None:
    finish(start(tmp_path, "setup", 0.0))
    kill_at(start(tmp_path, "configure", 0.3), line)
    lines = finish(start(tmp_path, "resume", 0.0))
    if line != "finished":
        assert lines[-1] == "report configure 0 {'successful': 3}"
    assert executed(tmp_path) == ONCE_EACH + Counter(f"{name} configure" for name in ("lb1", "app1", "app2"))


def test_a_second_controller_is_told_who_is_at_work(tmp_path: Path) -> None:
    first = start(tmp_path, "setup", 3.0)
    assert first.stdout is not None
    while not first.stdout.readline().startswith("run_started"):
        pass
    second = start(tmp_path, "configure", 0.0)
    output, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    assert f"(pid {first.pid}) has been running `test`" in output
    first.send_signal(signal.SIGKILL)
    first.communicate()


def test_a_server_takes_up_what_was_left_and_is_there_meanwhile(tmp_path: Path) -> None:
    kill_at(start(tmp_path, "setup", 1.0), "run_started lb1")
    instances = {"lb1": "lb", "app1": "app", "app2": "app"}
    kitchen = Kitchen(tmp_path, instances, transport=DiskTransport(tmp_path / "disks", 1.0))
    try:
        kitchen.dispatcher.engine(settle=False)
        [left] = kitchen.dispatcher.unfinished()
        assert dict(kitchen.dispatcher.wait(left.id).totals) == {"successful": 6}
    finally:
        kitchen.close()
    assert executed(tmp_path) == ONCE_EACH
