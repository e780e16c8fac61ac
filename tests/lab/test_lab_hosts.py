"""The fixtures themselves: what every other lab test takes for granted."""

from __future__ import annotations

from tests.conftest import LabHosts
from tests.lab.hosts import LabHost


def test_a_host_is_a_whole_debian_with_systemd_and_ssh(host: LabHost) -> None:
    assert host.testinfra.system_info.codename == "bookworm"
    assert host.testinfra.service("ssh").is_running
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


def test_a_command_brings_back_its_status_and_both_streams(host: LabHost) -> None:
    done = host.run("cat; echo trouble >&2; exit 3", stdin="words")
    assert (done.returncode, done.stdout, done.stderr) == (3, "words", "trouble\n")


def test_what_one_test_leaves_on_a_host_is_gone_in_the_next_part_one(host: LabHost) -> None:
    host.run("touch /root/left-behind; useradd somebody", check=True)
    assert host.testinfra.file("/root/left-behind").exists


def test_what_one_test_leaves_on_a_host_is_gone_in_the_next_part_two(host: LabHost) -> None:
    assert not host.testinfra.file("/root/left-behind").exists
    assert not host.testinfra.user("somebody").exists


def test_several_hosts_reach_each_other(lab_hosts: LabHosts) -> None:
    first, second = lab_hosts(2)
    banner = first.run(f"timeout 5 bash -c 'read -r line < /dev/tcp/{second.address}/22; echo $line'").stdout
    assert banner.startswith("SSH-2.0")


def test_packages_come_from_the_machine_itself(host: LabHost) -> None:
    host.run("apt-get install --yes cookline-hello=1.0", check=True)
    assert host.run("cookline-hello").stdout == "hello 1.0\n"
    host.run("apt-get update && apt-get install --yes cookline-hello", check=True)
    assert host.run("cookline-hello").stdout == "hello 1.1\n"
    assert host.testinfra.package("haproxy").is_installed is False
    assert host.run("apt-cache policy haproxy postgresql").stdout.count("file:/srv/cookline-packages") == 2
