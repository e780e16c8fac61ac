"""Package work beside another package manager, and after one that was cut off, on real hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cookline.control.transport.pool import Pool
from tests.contract.cases import Case
from tests.contract.converger import Converger
from tests.lab.hosts import LabHost

HELLO = Case("Package", "hello", "a small package", {"names": "cookline-hello"})

# Holds dpkg's lock as unattended-upgrades does, until the file /run/release is there.
HOLDER = """
import fcntl, os, time
with open('/var/lib/dpkg/lock-frontend', 'w') as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    open('/run/held', 'w').close()
    while not os.path.exists('/run/release'):
        time.sleep(0.05)
"""


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


def test_waits_for_another_package_manager_and_names_it(host: LabHost, pool: Pool) -> None:
    host.run("cat > /run/holder && systemd-run --quiet --unit=holder python3 /run/holder", stdin=HOLDER, check=True)
    host.run("timeout 10 sh -c 'until test -e /run/held; do sleep 0.05; done'", check=True)
    pid = host.run("systemctl show -p MainPID --value holder").stdout.strip()
    converger = Converger(pool, host, HELLO)
    converger.on_waiting = lambda event: host.run("touch /run/release", check=True)
    end, (event,) = converger.run()
    assert [(waited["for"], waited["holder"]) for waited in converger.waited] == [("dpkg", f"python3 (pid {pid})")]
    assert (end["outcome"], event["kind"]) == ("successful", "changed")
    assert host.testinfra.package("cookline-hello").is_installed


def test_power_cut_while_dpkg_unpacks_is_mended_by_the_next_run(host: LabHost, pool: Pool) -> None:
    """A maintainer script that never ends stands for the moment of the cut."""
    build = """
    mkdir -p /srv/slow/DEBIAN && cd /srv
    printf 'Package: slow\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: x\\n' > slow/DEBIAN/control
    printf '#!/bin/sh\\ntest -e /srv/quick || { touch /run/configuring; sync; sleep 600; }\\n' > slow/DEBIAN/postinst
    chmod 755 slow/DEBIAN/postinst && dpkg-deb --build slow slow.deb
    (dpkg --install slow.deb > /dev/null 2>&1 &)
    timeout 10 sh -c 'until test -e /run/configuring; do sleep 0.05; done'
    """
    host.run(build, check=True)
    host.power_cut()
    host.boot()
    assert host.run("dpkg --audit").stdout
    host.run("touch /srv/quick", check=True)
    end, (event,) = Converger(pool, host, HELLO).run()
    assert (end["outcome"], event["kind"]) == ("successful", "changed")
    assert host.run("dpkg --audit").stdout == ""
    assert host.testinfra.package("slow").is_installed
