"""The controller's side in trouble, and hosts that stand still: whole commands on real hosts, each with its named outcome."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project, read_until
from tests.lab.hosts import LabHost

SLOW = """
    def recipe(node):
        for number in range(10):
            node.ensure(Execute(f"sleep 0.2; echo {number} >> /root/done"))
"""
# Each step tells more than a page of the disk.
TALK = """
    def recipe(node):
        for number in range(10):
            node.ensure(Execute(f"sleep 0.2; echo {number} >> /root/done"))
            node.ensure(File(f"/root/file{number}", content="".join(f"{number} {line}" + chr(10) for line in range(2000))))
"""
NOTHING = "def recipe(node): pass"
EACH_ONCE = "".join(f"{number}\n" for number in range(10))


@pytest.fixture
def ready(host: LabHost, tmp_path: Path) -> Project:
    """A host that is online; its configure takes two seconds."""
    made = Project(tmp_path, [host], {"setup": NOTHING, "configure": SLOW, "deploy": TALK}).write()
    made.good("push", "test.yml")
    made.good("setup", "test")
    host.run("rm /root/done", check=True)
    return made


def answers(host: LabHost) -> bool:
    return host.run("true", timeout=60).returncode == 0


# -- a host that stands still ------------------------------------------------------------------------------------------------


def test_a_host_that_is_frozen_in_mid_run_and_thawed_ends_it_once(host: LabHost, ready: Project) -> None:
    with ready.begin("configure", "test") as process:
        read_until(process, "Execute[sleep 0.2; echo 1 ")
        host.freeze()
        assert not answers(host), "sshd does not get to say its name"
        host.thaw()
        rest = process.communicate(timeout=120)[0]
    assert process.returncode == 0 and "successful" in rest
    assert host.run("cat /root/done").stdout == EACH_ONCE


def test_a_frozen_host_is_unreachable_and_online_again_once_it_is_thawed(host: LabHost, ready: Project) -> None:
    host.freeze()
    said = ready.cookline("configure", "test", "--json")
    host.thaw()
    assert said.status == 4 and said.json["totals"] == {"unreachable": 1}
    assert host.name in said.json["results"][0]["reason"]
    assert ready.good("configure", "test", "--json").json["totals"] == {"successful": 1}
    assert host.run("cat /root/done").stdout == EACH_ONCE, "what could not be reached has not run behind our back"


# -- the controller's disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(ready: Project) -> Iterator[Path]:
    """The project's .cookline on a disk of 16 MB of its own."""
    directory = ready.folder / ".cookline"
    kept = directory.rename(ready.folder / "kept")
    directory.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(directory)], check=True)
    subprocess.run(["cp", "-a", f"{kept}/.", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Leave no byte; removing what is returned makes room again."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return ballast


def test_a_controller_without_room_says_so_and_begins_nothing(host: LabHost, ready: Project, small_disk: Path) -> None:
    ballast = fill(small_disk)
    said = ready.cookline("configure", "test")
    assert said.status == 1 and "full" in said.err and ".cookline" in said.err
    assert host.run("ls /root/done").returncode != 0, "what cannot be written down is not begun"
    ballast.unlink()
    assert ready.good("configure", "test", "--json").json["totals"] == {"successful": 1}
    assert host.run("cat /root/done").stdout == EACH_ONCE


def test_a_controller_whose_disk_fills_up_in_mid_run_loses_nothing(host: LabHost, ready: Project, small_disk: Path) -> None:
    with ready.begin("run", "test", "test::deploy") as process:
        read_until(process, "Execute[sleep 0.2; echo 1 ")
        ballast = fill(small_disk)
        rest = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "full" in rest and "Traceback" not in rest
    ballast.unlink()
    assert "1 successful" in ready.good("resume").out, "the host is asked how it ended"
    assert host.run("cat /root/done").stdout == EACH_ONCE, "the host ended its run by itself, once"
    assert ready.good("status", "test", "--json").json["unfinished"] == []
    ready.good("configure", "test")


# -- two operators -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(ready: Project) -> Iterator[Project]:
    ready.good("server", "--detach", "--port", "0")
    yield ready
    ready.good("server", "--stop")


def test_two_operators_of_one_server_take_turns_on_a_host(host: LabHost, served: Project) -> None:
    with served.begin("configure", "test") as first:
        read_until(first, "Execute[sleep 0.2; echo 1 ")
        second = served.good("configure", "test", "--json")
        assert first.wait(60) == 0
    assert second.json["totals"] == {"successful": 1}
    assert host.run("cat /root/done").stdout == EACH_ONCE * 2, "one after the other"


def test_who_goes_past_the_server_is_told_of_it_and_begins_nothing(host: LabHost, served: Project) -> None:
    """A second operator in the same directory who does not find the server's socket."""
    socket = served.folder / ".cookline" / "server.sock"
    aside = socket.rename(served.folder / "aside.sock")
    said = served.cookline("configure", "test")
    aside.rename(socket)
    assert said.status == 5 and "server" in said.err
    assert host.run("ls /root/done").returncode != 0
    assert served.good("configure", "test", "--json").json["totals"] == {"successful": 1}


def test_another_laptop_is_kept_off_while_the_server_works_on_the_host(host: LabHost, served: Project, tmp_path: Path) -> None:
    """Directly, from a store of its own: the host knows who manages it."""
    other = Project(tmp_path / "laptop", [host], {"setup": NOTHING, "configure": NOTHING}).write()
    other.good("push", "test.yml")
    with served.begin("configure", "test") as first:
        read_until(first, "Execute[sleep 0.2; echo 1 ")
        # locked while the run goes on, managed by another store when it has just ended
        assert other.cookline("setup", "test").status in (5, 1)
        assert first.wait(60) == 0
    refused = other.cookline("setup", "test")
    assert refused.status == 1 and "managed by another store" in refused.err
    assert host.run("cat /root/done").stdout == EACH_ONCE


def test_what_an_operator_began_goes_on_in_the_server_without_him(host: LabHost, served: Project) -> None:
    with served.begin("configure", "test") as command:
        read_until(command, "Execute[sleep 0.2; echo 1 ")
        command.send_signal(signal.SIGKILL)
    assert served.good("configure", "test", "--json").json["totals"] == {"successful": 1}
    assert host.run("cat /root/done").stdout == EACH_ONCE * 2
