"""Package through dnf, on a machine that answers as rpm and dnf do, also in versions that Debian has not (dnf 5, RHEL's own
packages). tests/lab/test_dnf.py has dnf itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cookline.errors import CommandError, ResourceError
from cookline.host import dnf
from cookline.host.resources.base import differences
from cookline.host.resources.package import Package
from cookline.host.system import Completed, FileStatus, System

INSTALLED = """bash\t0\t5.1.8\t9.el9\tx86_64
bind-utils\t32\t9.16.23\t14.el9\tx86_64
kernel\t0\t5.14.0\t362.8.1.el9_3\tx86_64
kernel\t0\t5.14.0\t427.13.1.el9_4\tx86_64
gpg-pubkey\t(none)\t350d275d\t6279464b\t(none)
"""


class Machine(System):
    """`answers` maps the begin of a command to (status, stdout, stderr); `ran` are the commands that may change something."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        super().__init__()
        self.installed, self.locks = INSTALLED, ""
        self.answers = answers
        self.ran: list[str] = []

    def status(self, path: str) -> FileStatus | None:
        return FileStatus("file", "0755", 0, 0, 0, 0, 0.0) if path == dnf.PROGRAM else None

    def read(self, path: str) -> bytes | None:
        return self.locks.encode() if path == dnf.LOCKS[0] else None

    def query(self, command: str | Sequence[str], **options: Any) -> Completed:
        words = list(command)
        if "--whatprovides" in words:
            line = "bash\t0\t5.1.8\t9.el9\tx86_64\n" if words[-1] == "/bin/sh" or words[-1] == "sh" else ""
            return Completed("", 0 if line else 1, line or f"no package provides {words[-1]}\n", "")
        assert words[:2] == ["rpm", "-qa"]
        return Completed("", 0, self.installed, "")

    def run(self, command: str | Sequence[str], *, ok: Sequence[int] | None = (0,), **options: Any) -> Completed:
        words = [word for word in command if not word.startswith("-")]
        self.ran.append(" ".join(command))
        self._begin_change("run")
        status, stdout, stderr = self.answers.get(words[1], (0, "", ""))
        if words[1] == "install" and status == 0:
            self.installed += "".join(f"{word.partition('-')[0]}\t0\t1.20.1\t14.el9\tx86_64\n" for word in words[2:])
        if words[1] == "versionlock" and status == 0:
            self.locks = "".join(f"{name}-0:1.20.1-14.el9.*\n" for name in words[3:]) if words[2] == "add" else ""
        return Completed("", status, stdout, stderr)


def converge(resource: Package, host: Machine) -> None:
    resource.apply(host, differences(resource.current(host), resource.desired()))
    assert differences(resource.current(host), resource.desired()) == {}


@pytest.mark.parametrize(
    ("name", "fields", "state"),
    [
        ("bash", {}, "installed"),
        ("bash.x86_64", {}, "installed"),
        ("bash.i686", {}, "absent"),
        ("sh", {}, "installed"),
        ("nginx", {}, "absent"),
        ("sh", {"exists": False}, "absent"),
        ("bash", {"version": "5.1.8"}, "5.1.8"),
        ("bash", {"version": "5.1.8-9.el9"}, "5.1.8-9.el9"),
        ("bash", {"version": "5.2*"}, "5.1.8-9.el9"),
        ("bind-utils", {"version": "32:9.16.*"}, "32:9.16.*"),
        ("bind-utils", {"version": "9.16.23"}, "9.16.23"),
        ("kernel", {"version": "5.14.0-427.*"}, "5.14.0-427.*"),
    ],
)
def test_what_rpm_says(name: str, fields: dict[str, Any], state: str) -> None:
    assert Package(name, **fields).current(Machine()) == {name: state}


def test_several_are_installed_in_one_transaction_and_only_those_that_lack() -> None:
    host = Machine()
    converge(Package(["bash", "nginx", "haproxy"], recommends=False), host)
    assert host.ran == ["dnf -y -q --setopt=install_weak_deps=False install -- nginx haproxy"]


def test_a_version_is_installed_and_held() -> None:
    host = Machine()
    converge(Package("nginx", version="1.20.*", held=True), host)
    assert host.ran == [
        "dnf -y -q --disableplugin=versionlock install -- nginx-1.20.*",
        "dnf -y -q versionlock add nginx",
    ]
    converge(Package("nginx", held=False), host)
    assert host.ran[-1] == "dnf -y -q versionlock delete nginx"


def test_an_older_version_is_a_downgrade() -> None:
    host = Machine()
    resource = Package("bash", version="5.0.1")
    resource.apply(host, differences(resource.current(host), resource.desired()))
    assert host.ran == ["dnf -y -q install -- bash-5.0.1", "dnf -y -q downgrade -- bash-5.0.1"]


def test_removal() -> None:
    host = Machine()
    Package("bash", exists=False).apply(host, {"bash": ("installed", "absent")})
    assert host.ran == ["dnf -y -q remove -- bash"]


def test_troubles_are_told_in_words() -> None:
    missing = Machine(install=(1, "", "Error: Unable to find a match: nginy\nNo match for argument: nginy\n"))
    with pytest.raises(ResourceError, match="there is no package 'nginy' in the repositories of this host"):
        converge(Package("nginy"), missing)
    plain = Machine(versionlock=(1, "", "No such command: versionlock. Please use /usr/bin/dnf --help\n"))
    with pytest.raises(ResourceError, match="no versionlock"):
        converge(Package("bash", held=True), plain)
    broken = Machine(install=(1, "", "Error: Failed to download metadata for repo 'appstream'\n"))
    with pytest.raises(CommandError, match="Failed to download metadata"):
        converge(Package("nginx"), broken)


def test_locks_of_both_kinds_are_read() -> None:
    host = Machine()
    host.locks = "# Added locks\nnginx-1:1.20.1-14.el9.*\npython3-pip-0:21.2.3-7.el9.*\n!excluded-0:1-1.*\n"
    assert dnf.held(host) == ("nginx", "python3-pip")
