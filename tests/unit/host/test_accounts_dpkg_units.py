"""The batch reads: passwd and group, dpkg's status file, the names of units."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host import accounts, dpkg, units
from cookline.host.system import PlanWrite, System

STATUS = """Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.35-1

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: nginx
Essential: no
Status: install ok half-configured
Version: 1.22.1-9
Architecture: amd64

Package: postfix
Status: install ok installed
Version: 3.7
Architecture: amd64
Provides: mail-transport-agent, default-mta (= 1)

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
"""


def test_passwd_and_group_lines() -> None:
    found = accounts.parse_passwd(
        "root:x:0:0:root:/root:/bin/bash\n+nis\nbroken:x:a:0:::\nshop:x:999:998:A shop:/srv:/bin/sh\n"
    )
    assert found["shop"] == accounts.Account("shop", 999, 998, "A shop", "/srv", "/bin/sh")
    assert set(found) == {"root", "shop"}
    assert accounts.parse_group("adm:x:4:syslog,ops\nempty:x:5:\n")["adm"].members == ("syslog", "ops")
    assert accounts.parse_group("empty:x:5:\n")["empty"].members == ()


def test_unknown_owner_names_the_nearest() -> None:
    with pytest.raises(ResourceError, match="no user 'rooot' on this host; did you mean 'root'"):
        accounts.uid_of(System(), "rooot")


def test_dpkg_status() -> None:
    status = dpkg.Status(STATUS)
    assert status.find("nginx") == dpkg.Installed("nginx", "half-configured", "1.22.1-9", "amd64")
    assert status.find("libc6:amd64") == dpkg.Installed("libc6", "installed", "2.36-9", "amd64")
    assert status.find("nothing") is None
    assert status.broken() == ["nginx"]


def test_virtual_package_is_found_by_who_provides_it() -> None:
    status = dpkg.Status(STATUS)
    provider = status.provider("default-mta")
    assert provider is not None and provider.name == "postfix"
    assert status.provider("mta") is None and status.provider("mail-transport") is None


def test_holder_of_a_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert dpkg.lock_holder(str(lock)) is None
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=-1, stdout=-1) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert dpkg.lock_holder(str(lock)) == holder.pid
        holder.communicate(b"\n")
    assert dpkg.lock_holder(str(lock)) is None
    assert fcntl.F_UNLCK is not None


def test_waiting_for_a_lock_ends_and_says_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    monkeypatch.setattr(dpkg, "LOCKS", (str(lock),))
    waits: list[tuple[str, str]] = []
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=-1, stdout=-1) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(ResourceError, match=rf"\(pid {holder.pid}\) has held {lock}"):
            dpkg.wait_for_locks(System(on_wait=lambda what, who: waits.append((what, who))), seconds=0)
        holder.communicate(b"\n")
    assert waits and waits[0][0] == "dpkg" and f"(pid {holder.pid})" in waits[0][1]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "nginx.service"),
        ("backup.timer", "backup.timer"),
        ("getty@tty1", "getty@tty1.service"),
        ("a.b", "a.b.service"),
    ],
)
def test_unit_names(name: str, full: str) -> None:
    assert units.full_name(name) == full


def test_batch_reads_are_made_once_until_something_changes(tmp_path: Path) -> None:
    host, reads = System(), []
    for _ in range(2):
        host.remember("numbers", lambda: reads.append(1))
    assert reads == [1]
    host.known["kept"] = "by hand"
    host.write(str(tmp_path / "file"), b"x")
    host.remember("numbers", lambda: reads.append(1))
    assert reads == [1, 1]
    assert host.known["kept"] == "by hand"


def test_plan_refuses_to_write(tmp_path: Path) -> None:
    with pytest.raises(PlanWrite):
        System(apply=False).write(str(tmp_path / "file"), b"x")
    assert not (tmp_path / "file").exists()
