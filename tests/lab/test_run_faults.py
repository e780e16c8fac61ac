"""What becomes of a run when the link, the controller, the host, the disk or another program interferes. All of it is real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cookline.errors import HostStateError
from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

Cook = Callable[..., Controller]

# Ten resources of a fifth of a second each; each appends a line, so that what ran twice would be seen.
SLOW = """
    def recipe(node):
        for number in range(10):
            node.ensure(Execute(f"sleep 0.2; echo {number} >> /root/done"))
"""
EACH_ONCE = "".join(f"{number}\n" for number in range(10))


@pytest.fixture
def cook(host: LabHost, tmp_path: Path) -> Iterator[Cook]:
    made: list[Controller] = []

    def controller(recipe: str, **changes: object) -> Controller:
        files = changes.pop("files", None)
        made.append(Controller(target_of(host, tmp_path, **changes), recipe, files))
        return made[-1]

    yield controller
    for each in made:
        each.close()


def test_a_link_cut_in_mid_run_and_mended_ends_in_the_same_run_once(host: LabHost, cook: Cook) -> None:
    run = cook(SLOW).begin()
    run.wait_for("changed")
    host.partition()
    host.heal()
    assert run.join()["outcome"] == "successful"
    assert host.run("cat /root/done").stdout == EACH_ONCE
    assert [event["seq"] for event in run.events] == list(range(len(run.events))), "no event is lost or doubled"
    assert host.run("ls /var/lib/cookline/runs").stdout.split() == [run.id]


def test_a_killed_controller_is_replaced_by_one_that_attaches(host: LabHost, cook: Cook, tmp_path: Path) -> None:
    controller = cook(SLOW)
    identity = "01KILLEDCONTROLLER00000000"
    script = tmp_path / "controller.py"
    script.write_text(
        "import sys; from tests.lab.runs import Controller; from cookline.control.transport.base import Target\n"
        f"controller = Controller({controller.target!r}, {SLOW!r})\n"
        f"run = controller.begin({identity!r}); run.wait_for('changed'); print('begun', flush=True); run.join()\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=_environment()) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    again = controller.begin(identity)
    assert again.join()["outcome"] == "successful"
    assert host.run("cat /root/done").stdout == EACH_ONCE, "the attempt was not made a second time"
    assert again.kinds.count("run_started") == 1


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_recipe_that_restarts_sshd_in_mid_run_finishes(host: LabHost, cook: Cook) -> None:
    run = cook("""
        def recipe(node):
            node.ensure(Execute("systemctl restart ssh; pkill -KILL -f '[s]shd: root' || true"))
            node.ensure(File("/root/after", content="x"))
    """).begin()
    assert run.join()["outcome"] == "successful"
    assert host.testinfra.file("/root/after").exists


def test_a_power_cut_ends_the_run_as_interrupted_and_the_next_run_repairs_and_pays(host: LabHost, cook: Cook) -> None:
    recipe = """
        def recipe(node):
            node.ensure(File("/root/first", content="x"), later=Run("echo paid >> /root/paid"))
            node.ensure(Execute("sleep 30", creates="/root/second"))
    """
    run = cook(recipe).begin()
    run.wait_for("started", "Execute")
    host.power_cut()
    host.boot()
    end = run.join()
    assert (end["outcome"], end["reason"]) == ("failed", "interrupted")
    host.run("touch /root/second", check=True)
    paid = cook(recipe).run()
    assert paid["outcome"] == "successful" and paid["owed"] == []
    assert host.run("cat /root/paid").stdout == "paid\n"
    assert host.run("cat /root/first").stdout == "x"


def test_the_second_of_two_controllers_waits_or_names_the_holder(cook: Cook) -> None:
    first = cook(SLOW).begin()
    first.wait_for("changed")
    impatient = cook(SLOW).run()
    assert impatient["outcome"] == "expired" and first.id in impatient["reason"]
    patient = cook("def recipe(node): pass").begin(lock_wait=60.0)
    patient.wait_for("waiting")
    assert patient.join()["outcome"] == "successful"
    assert first.join()["outcome"] == "successful"


def test_a_full_disk_is_named_and_leaves_nothing_half_written(host: LabHost, cook: Cook) -> None:
    host.run("mount -t tmpfs -o size=2m tmpfs /srv && echo old > /srv/file", check=True)
    end = cook("""
        def recipe(node):
            node.ensure(File("/srv/file", content="new" * 1000000))
    """).run()
    assert end["outcome"] == "failed" and "No space left on device" in end["error"]
    assert "cookbooks/test/recipes/default.py:4" in end["error"]
    assert host.run("cat /srv/file; ls -A /srv").stdout == "old\nfile\n"


def test_a_disk_that_is_full_of_others_files_refuses_the_run(host: LabHost, cook: Cook) -> None:
    controller = cook("def recipe(node): pass")
    host.run("mkdir -p -m 700 /var/lib/cookline && mount -t tmpfs -o size=16m,mode=700 tmpfs /var/lib/cookline", check=True)
    assert controller.run()["outcome"] == "successful"
    host.run("rm /var/lib/cookline/ballast; dd if=/dev/zero of=/var/lib/cookline/others bs=4k 2>/dev/null; sync")
    with pytest.raises(HostStateError, match="full"):
        controller.run()
    host.run("rm /var/lib/cookline/others", check=True)
    assert controller.run()["outcome"] == "successful", "once there is room, all is as before"


def test_the_disk_fills_up_in_mid_run_and_the_end_is_still_told(host: LabHost, cook: Cook) -> None:
    controller = cook("""
        def recipe(node):
            node.ensure(Execute("dd if=/dev/zero of=/var/lib/cookline/others bs=4k 2>/dev/null; true"))
            node.ensure(File("/var/lib/cookline/more", content="x" * 100000))
    """)
    host.run("mkdir -p -m 700 /var/lib/cookline && mount -t tmpfs -o size=16m,mode=700 tmpfs /var/lib/cookline", check=True)
    end = controller.run()
    assert end["outcome"] == "failed" and "No space left" in end["error"]


def test_another_program_that_holds_the_dpkg_lock_is_waited_for_and_named(host: LabHost, cook: Cook) -> None:
    hold = "import fcntl; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held'); input()"
    holder = subprocess.Popen(
        ["ssh", "-F", str(host.ssh_config), host.name, f'exec -a unattended-upgr python3 -u -c "{hold}"'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        run = cook('def recipe(node): node.ensure(Package("cookline-hello"))').begin()
        run.wait_for("waiting")
        waiting = next(event for event in run.events if event["kind"] == "waiting")
        assert waiting["for"] == "dpkg" and "python3" in waiting["holder"]
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert run.join()["outcome"] == "successful"
    assert host.testinfra.package("cookline-hello").is_installed


def test_a_package_left_half_configured_is_mended(host: LabHost, cook: Cook) -> None:
    broken = "/^Package: cookline-hello$/,/^$/s/^Status: .*/Status: install ok half-configured/"
    host.run(f"apt-get install --yes cookline-hello=1.0 && sed -i '{broken}' /var/lib/dpkg/status", check=True)
    assert cook('def recipe(node): node.ensure(Package("cookline-hello"))').run()["outcome"] == "successful"
    assert host.testinfra.package("cookline-hello").is_installed


def test_a_package_that_does_not_exist_is_named(cook: Cook) -> None:
    end = cook('def recipe(node): node.ensure(Package("no-such-package"))').run()
    assert end["outcome"] == "failed" and "no-such-package" in end["reason"] and "Traceback" not in end["error"]


def test_a_template_with_an_undefined_name_names_template_and_line(cook: Cook) -> None:
    end = cook(
        'def recipe(node): node.ensure(Template("/root/x", source="x.j2", values={"port": 1}))',
        files={"templates/x.j2": "first\nlisten {{ prot }}\n"},
    ).run()
    assert "cookbooks/test/templates/x.j2:2: 'prot' is undefined" in end["error"]


def test_secrets_are_in_no_output_and_in_no_file_that_others_may_read(host: LabHost, cook: Cook) -> None:
    canary = "canary-4f1c9a77"
    run = cook("""
        def recipe(node):
            node.ensure(File("/root/secret", content=node["password"], mode="0600"))
            node.ensure(Execute("echo " + node["password"] + " >&2; ps -ef; exit 3", ignore_failure=True))
            raise RuntimeError(node["password"])
    """).begin(attributes={"password": canary}, secrets=[canary])
    run.join()
    assert canary not in json.dumps(run.events)
    readable = host.run(f"grep -rl {canary} /var/lib/cookline/runs /tmp /var/tmp /var/log /home /etc /run/systemd 2>/dev/null")
    assert readable.stdout == ""
    journal = host.run(
        f"stat -c '%a %U' /var/lib/cookline /var/lib/cookline/runs/{run.id} /var/lib/cookline/runs/{run.id}/journal.ndjson"
    )
    assert journal.stdout.split() == ["700", "root", "700", "root", "600", "root"]


def test_a_user_with_sudo_runs_the_same_and_stages_nothing_that_he_can_write(host: LabHost, cook: Cook) -> None:
    assert (
        cook('def recipe(node): node.ensure(File("/root/by-sudo", content="x"))', user="ops").run()["outcome"] == "successful"
    )
    assert host.run("stat -c %U /root/by-sudo").stdout == "root\n"
    staged = host.run("find /var/tmp /tmp /home /dev/shm /run -user ops -type f -newer /var/lib/cookline/lock 2>/dev/null")
    assert staged.stdout == ""
