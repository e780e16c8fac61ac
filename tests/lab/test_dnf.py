"""Packages by dnf and rpm themselves: a Debian host that has both and no records of dpkg, and a repository of RPMs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hosts import LabHost, open_pool
from tests.lab.runs import Controller, Event, target_of

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("dnf"), pytest.mark.timeout(300)]

TOOLS = ("dnf", "rpm", "createrepo-c", "dnf-plugins-core")
# Debian's dnf looks for packages that were built on the spot, too, which takes no part here.
START = f"""set -e
apt-get install -yqq --no-install-recommends {" ".join(TOOLS)}
sed -i 's/^enabled = .*/enabled = false/' /etc/dnf/plugins/local.conf
cat > /srv/hello.spec <<'END'
Name: hello
Version: %{{v}}
Release: 1
Summary: says hello
License: MIT
BuildArch: noarch
AutoReqProv: no
%description
says hello
%install
mkdir -p %{{buildroot}}/usr/share/hello
echo %{{version}} > %{{buildroot}}/usr/share/hello/version
%files
/usr/share/hello
END
for v in 1.0 1.1; do rpmbuild -bb --quiet --define "v $v" --define "_rpmdir /srv/rpm" /srv/hello.spec; done
createrepo_c -q /srv/rpm
mkdir -p /etc/yum.repos.d
mv /var/lib/dpkg/status /srv/status
"""
IMPORTS = "from cookline import DnfRepository, Package, PackageUpdates\n"
REPOSITORY = 'DnfRepository("case", baseurl="file:///srv/rpm", gpgcheck=False)'


class DnfHost:
    """One host of that kind, and what comes of one resource after another on it."""

    def __init__(self, host: LabHost, directory: Path) -> None:
        self.host, self.directory = host, directory

    def ensure(self, resource: str, **values: Any) -> tuple[Event, Event]:
        """The end of a run of this one resource, and how the resource ended."""
        recipe = f"def recipe(node):\n    node.ensure({resource})\n"
        controller = Controller(target_of(self.host, self.directory), recipe, imports=IMPORTS)
        try:
            run = controller.begin(**values)
            end = run.join()
        finally:
            controller.close()
        return end, next(event for event in run.events if "seconds" in event and "name" in event)

    def brings(self, resource: str, installed: str) -> None:
        """It changes the host as it had announced, and the second time nothing; `installed` is what rpm and the files say."""
        planned = self.ensure(resource, apply=False)[1]
        end, event = self.ensure(resource)
        assert (end["outcome"], event["kind"]) == ("successful", "changed"), end
        assert planned["kind"] == "will_change" and planned["changes"] == event["changes"]
        assert self.ensure(resource)[1]["kind"] == "unchanged"
        assert self.host.run("rpm -qa --queryformat '%{VERSION} '; cat /usr/share/hello/version").stdout.split() == (
            [installed, installed] if installed else []
        )


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with open_pool(packages=TOOLS) as pool:
        (host,) = pool.take([f"dnf{os.getpid() % 1000}"], "debian-12")
        host.run(START, check=True, timeout=240)
        yield host


def test_dnf_installs_moves_holds_and_removes_what_is_declared(host: LabHost, tmp_path: Path) -> None:
    there = DnfHost(host, tmp_path)
    _, event = there.ensure('Package("hello")')
    assert "There are no enabled repositories" in event["error"]
    end, _ = there.ensure(REPOSITORY.replace("/srv/rpm", "/srv/elsewhere"))
    assert end["outcome"] == "failed" and "cannot be read and is not used" in end["reason"]
    assert host.run("ls /etc/yum.repos.d").stdout == ""
    assert there.ensure(REPOSITORY)[1]["kind"] == "changed"
    assert there.ensure(REPOSITORY)[1]["kind"] == "unchanged"

    there.brings('Package("hello", version="1.0")', "1.0")
    there.brings('PackageUpdates("all")', "1.1")
    there.brings('Package("hello", version="1.0")', "1.0")
    there.brings('Package("hello", held=True)', "1.0")
    assert there.ensure('PackageUpdates("all")')[1]["kind"] == "unchanged"
    there.brings('Package("hello", version="1.1", held=False)', "1.1")
    for mistake, named in (('"hello", version="9.9"', "hello-9.9"), ('["hello", "nosuch"]', "nosuch")):
        end, _ = there.ensure(f"Package({mistake})")
        assert f"there is no package {named!r} in the repositories of this host" in end["reason"]
    there.brings('Package("hello", exists=False)', "")


def test_what_dnf_has_changed_is_undone(host: LabHost, tmp_path: Path) -> None:
    there = DnfHost(host, tmp_path)
    there.ensure(REPOSITORY)
    there.ensure('Package("hello", version="1.0")')
    end, event = there.ensure('Package("hello", version="1.1")')
    assert event["undo"]
    undone, _ = there.ensure("None", undo=end["run"], recipes=[])
    assert undone["outcome"] == "successful"
    assert host.run("rpm -q --queryformat '%{VERSION}' hello").stdout == "1.0"
