"""A service that was started has until it comes to rest to show that it stays up; what needs no service goes on meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import LabHosts
from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

RECIPE = """
    UNIT = "[Service]\\nExecStart={command}\\n"

    def recipe(node):
        for name, command in (("stays", "/bin/sleep 1d"), ("dies", "/bin/sh -c 'sleep 0.1; echo port 80 is taken; exit 3'")):
            node.ensure(SystemdUnit(f"{name}.service", UNIT.format(command=command)))
            node.ensure(Service(name, running=True))
        node.ensure(File("/etc/written", "meanwhile"))
        node.ensure(Execute("touch /etc/executed"))
"""


def test_a_service_that_ends_fails_the_run_before_anything_needs_it(host: LabHost, tmp_path: Path) -> None:
    controller = Controller(target_of(host, tmp_path), RECIPE)
    run = controller.begin()
    end = run.join()
    controller.close()
    endings = {event["name"]: event["kind"] for event in run.events if "seconds" in event and "name" in event}
    assert endings == {
        "SystemdUnit[stays.service]": "changed",
        "Service[stays]": "changed",
        "SystemdUnit[dies.service]": "changed",
        "Service[dies]": "failed",
        "File[/etc/written]": "changed",
    }
    assert end["outcome"] == "failed" and end["totals"] == {"changed": 4, "failed": 1}
    assert end["reason"].startswith("Service[dies] failed: dies.service was started but did not stay up")
    (failed,) = [event for event in run.events if event["kind"] == "failed"]
    assert "did not stay up: its program ended with status 3" in failed["error"] and "port 80 is taken" in failed["error"]
    assert host.run("cat /etc/written; ls /etc/executed").stdout == "meanwhile"


@pytest.mark.parametrize("image", ["debian-12", "debian-13"])
def test_what_is_imported_later_lies_there_compiled(lab_hosts: LabHosts, image: str, tmp_path: Path) -> None:
    """Out of the bundle where the host has this Python, else compiled while the first run went on."""
    (host,) = lab_hosts(1, image=image)
    controller = Controller(target_of(host, tmp_path), "def recipe(node):\n    pass\n")
    controller.run()
    controller.close()
    kept = "ls /var/lib/cookline/trees/*/{}/__pycache__/{}.cpython-*.pyc >/dev/null 2>&1"
    files = (kept.format("jinja2", "environment"), kept.format("cookline/host/resident", "daemon"))
    host.run(f"timeout 30 sh -c 'until {files[0]} && {files[1]}; do sleep 0.05; done'", check=True)
    unused = kept.format("cookline/host/resources", "mount")
    sent = (
        host.run("python3 -c 'import sys; print(sys.implementation.cache_tag)'").stdout.strip() == sys.implementation.cache_tag
    )
    assert (host.run(unused).returncode == 0) == sent
