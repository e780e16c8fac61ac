"""Facts of this machine and of planned and fake ones: what they say, how they are read, and when anew."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from cookline.errors import CookbookError
from cookline.host.facts import READERS, Facts
from cookline.host.overlay import Overlay
from cookline.host.resources.base import differences
from cookline.host.resources.user import User
from cookline.host.system import System
from cookline.kitchen.fake.platform import platform
from cookline.kitchen.fake.system import FakeSystem


class Silent(System):
    """A machine on which no program may be started."""

    def _execute(self, command, **options):  # type: ignore[no-untyped-def,override]
        raise AssertionError(f"a fact started {command}")


# services are asked of systemd's socket, which is not everywhere: a test on a real host looks at them
@pytest.mark.parametrize("name", sorted({*READERS} - {"services"}))
def test_each_fact_is_json_and_starts_no_program(name: str) -> None:
    json.dumps(Facts(Silent(apply=False)).read(name))


def test_facts_are_what_the_programs_say() -> None:
    facts = Facts()
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"], capture_output=True, text=True)
    assert set(facts.packages) == {line.split()[0] for line in listed.stdout.splitlines() if line.endswith(" installed")}
    assert facts.users.root.uid == 0 and facts.groups.root.gid == 0
    found = os.statvfs("/")
    assert facts.mounts["/"].size == found.f_blocks * found.f_frsize
    assert facts.memory.total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") or facts.virtualization.container
    assert facts.reboot.required == os.path.exists("/run/reboot-required")
    sizes = subprocess.run(["lsblk", "-bdno", "NAME,SIZE"], capture_output=True, text=True).stdout.split()
    assert all(str(disk.size) in sizes for disk in facts.disks.values())


@pytest.fixture
def machine() -> FakeSystem:
    return FakeSystem(platform("debian-12"))


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"/sys/class/dmi/id/sys_vendor": "QEMU"}, "kvm"),
        ({"/sys/class/dmi/id/sys_vendor": "Amazon EC2"}, "ec2"),
        ({"/sys/class/dmi/id/sys_vendor": "Xen", "/sys/hypervisor/uuid": "ec2e1916-9099-7caf-fd21-012345abcdef"}, "ec2"),
        ({"/sys/class/dmi/id/sys_vendor": "Xen", "/sys/hypervisor/uuid": "1916-9099"}, "xen"),
        ({"/sys/class/dmi/id/sys_vendor": "QEMU", "/run/systemd/container": "systemd-nspawn"}, "container"),
        ({"/.dockerenv": ""}, "container"),
        ({"/sys/class/dmi/id/sys_vendor": "Dell Inc."}, ""),
    ],
)
def test_virtualization(machine: FakeSystem, files: dict[str, str], kind: str) -> None:
    for path, text in files.items():
        machine.make_directory(os.path.dirname(path), parents=True) if machine.status(os.path.dirname(path)) is None else None
        machine.write(path, text.encode())
    assert Facts(machine).virtualization.kind == kind


def test_addresses_of_both_families(machine: FakeSystem) -> None:
    machine.make_directory("/proc/net", parents=True)
    trie = "        |-- 127.0.0.1\n           /32 host LOCAL\n        |-- 192.0.2.7\n           /32 host LOCAL\n"
    machine.write("/proc/net/fib_trie", trie.encode())
    rows = ("20010db8000000000000000000000007 02 40 00 80 eth0", "fe800000000000000000000000000001 02 40 20 80 eth0")
    machine.write("/proc/net/if_inet6", "\n".join(rows).encode())
    assert Facts(machine).addresses == ["192.0.2.7", "2001:db8::7"]


def test_what_a_resource_changes_is_read_anew_in_a_plan_too() -> None:
    host = Overlay()
    facts = Facts(host)
    assert "cookbench" not in facts.users
    user = User("cookbench", uid=4711, home="/srv/cookbench")
    user.predict(host, differences(user.current(host), user.desired()))
    assert facts.users.cookbench.home == "/srv/cookbench"


def test_a_fact_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(CookbookError, match="there is no fact 'packges'; did you mean 'packages'"):
        Facts().read("packges")
    with pytest.raises(CookbookError, match="there is no fact 'famly' here; did you mean 'family'"):
        _ = Facts().os.famly
