"""The container provider on this machine: what it makes works, what it destroys is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cookline.control.providers.base import Host, HostRequest
from cookline.control.providers.container.addresses import hidden_by, needed_addresses
from cookline.control.providers.container.network import slices
from cookline.control.providers.container.provider import ContainerProvider
from cookline.errors import UsageError
from tests.conftest import LabHosts
from tests.lab.hosts import LabHost, Pool, remove_orphans

pytestmark = pytest.mark.lab


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def traces(identifier: str) -> dict[str, list[str]]:
    """All that a project has in this machine's kernel, by kind."""
    label = f"ck{identifier}"
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if label in path.read_text():
                processes.append(path.parent.name)
    # os.walk passes over what goes while it looks: groups of other hosts come and go
    groups = [Path(place, name) for place, names, _ in os.walk("/sys/fs/cgroup") for name in names if name.startswith(label)]
    return {
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if label in line],
        "links": [path.name for path in Path("/sys/class/net").glob(f"{label}*")],
        "namespaces": [path.name for path in Path("/run/netns").glob(f"{label}*")],
        "groups": [str(path) for path in groups],
        "nspawn": [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/{label}*")],
        "processes": processes,
    }


NOTHING: dict[str, list[str]] = {"mounts": [], "links": [], "namespaces": [], "groups": [], "nspawn": [], "processes": []}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A `.cookline` in memory; whatever a failed test leaves in it is destroyed."""
    with tempfile.TemporaryDirectory(prefix="cookline-provider-", dir="/dev/shm", ignore_cleanup_errors=True) as name:
        yield Path(name)
        provider = ContainerProvider(Path(name))
        provider.destroy(provider.project.names(), quiet)


def ssh(host: Host, command: str) -> subprocess.CompletedProcess[str]:
    """A command on a host with nothing but what the provider says of it: key, address and host key."""
    assert host.address and host.identity_file and host.known_host
    with tempfile.NamedTemporaryFile("w", prefix="known-hosts-") as known_hosts:
        known_hosts.write(f"{host.address} {host.known_host}\n")
        known_hosts.flush()
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=5", "LogLevel=ERROR"]
        options += [f"UserKnownHostsFile={known_hosts.name}", "GlobalKnownHostsFile=/dev/null"]
        arguments = ["ssh", "-F", "none", "-i", host.identity_file, "-p", str(host.port), "-l", host.user]
        arguments += [part for option in options for part in ("-o", option)]
        return subprocess.run([*arguments, host.address, command], capture_output=True, text=True, timeout=60)


def test_services_of_one_name_on_two_hosts_have_groups_of_their_own(lab_hosts: LabHosts) -> None:
    for host in lab_hosts(2):
        leader = host.machine.group.leader()
        assert leader is not None
        lines = [line.split(":", 2) for line in Path("/proc", str(leader[0]), "cgroup").read_text().splitlines()]
        places = {names or "unified": place for _, names, place in lines}
        used = [name for name in ("unified", "name=systemd") if Path("/sys/fs/cgroup", name.removeprefix("name=")).is_dir()]
        assert used and all(f"/{host.machine.label}/" in places[name] for name in used), places


def test_what_the_provider_says_of_a_host_is_enough_to_log_in(directory: Path) -> None:
    provider = ContainerProvider(directory)
    hosts = provider.create([HostRequest("web_1"), HostRequest("db.internal")], quiet)
    assert [(host.name, host.state) for host in hosts] == [("web_1", "running"), ("db.internal", "running")]
    assert [ssh(host, "hostname").stdout for host in hosts] == ["web-1\n", "db.internal\n"]
    assert len({host.known_host for host in hosts}) == 2
    machine_ids = {ssh(host, "cat /etc/machine-id").stdout for host in hosts}
    assert len(machine_ids) == 2


def test_a_host_lives_through_stop_and_create_with_disk_address_and_key(directory: Path) -> None:
    provider, request = ContainerProvider(directory), HostRequest("web1")
    before = provider.create([request], quiet)[0]
    assert ssh(before, "echo kept > /root/kept").returncode == 0
    provider.stop(["web1"], quiet)
    assert provider.status([request])[0].state == "stopped"
    assert ssh(before, "true").returncode == 255
    after = provider.create([request], quiet)[0]
    assert after == before
    assert ssh(after, "cat /root/kept").stdout == "kept\n"


def test_creating_what_runs_changes_nothing(directory: Path) -> None:
    provider, request = ContainerProvider(directory), HostRequest("web1")
    host = provider.create([request], quiet)[0]
    boot = ssh(host, "cat /proc/sys/kernel/random/boot_id; echo x > /run/alive").stdout
    assert provider.create([request], quiet) == [host]
    assert ssh(host, "cat /proc/sys/kernel/random/boot_id").stdout == boot
    assert ssh(host, "cat /run/alive").stdout == "x\n"


def test_another_process_finds_reboots_and_destroys_the_hosts(directory: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from cookline.control.providers.base import HostRequest
        from cookline.control.providers.container.provider import ContainerProvider
        ContainerProvider(Path(sys.argv[1])).create([HostRequest("web1"), HostRequest("web2")], print)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(directory)], check=True, timeout=120)
    provider = ContainerProvider(directory)
    hosts = provider.status([HostRequest("web1"), HostRequest("web2"), HostRequest("web3")])
    assert [host.state for host in hosts] == ["running", "running", "absent"]
    boot = ssh(hosts[0], "cat /proc/sys/kernel/random/boot_id").stdout
    provider.reboot(["web1"], quiet)
    assert ssh(hosts[0], "cat /proc/sys/kernel/random/boot_id").stdout != boot
    provider.destroy(["web1", "web2"], quiet)
    assert traces(provider.project.identifier) == NOTHING


def test_destroy_leaves_nothing_in_whatever_state_the_hosts_are(directory: Path) -> None:
    provider = ContainerProvider(directory)
    names = ["running", "stopped", "frozen", "cut", "dead"]
    provider.create([HostRequest(name) for name in names], quiet)
    assert all(traces(provider.project.identifier).values())
    provider.stop(["stopped"], quiet)
    provider.faults("frozen").freeze()
    provider.faults("cut").partition()
    provider.faults("dead").power_cut()
    provider.destroy(names, quiet)
    assert traces(provider.project.identifier) == NOTHING
    assert provider.project.names() == []
    provider.destroy(names, quiet)  # and once more is no error


def test_hosts_that_nothing_is_written_down_of_any_more_go_too(directory: Path) -> None:
    provider = ContainerProvider(directory)
    provider.create([HostRequest("web1"), HostRequest("web2")], quiet)
    provider.faults("web2").power_cut()
    for name in ("web1", "web2"):
        (provider.project.host_directory(name) / "host.json").unlink()
    provider.destroy([], quiet)
    assert traces(provider.project.identifier) == NOTHING


def test_the_bridge_goes_with_the_last_host(directory: Path) -> None:
    provider = ContainerProvider(directory)
    provider.create([HostRequest("web1"), HostRequest("web2")], quiet)
    provider.destroy(["web1"], quiet)
    assert traces(provider.project.identifier)["links"] != []
    assert provider.status([HostRequest("web2")])[0].state == "running"
    provider.destroy(["web2"], quiet)
    assert traces(provider.project.identifier) == NOTHING


def test_two_projects_with_the_same_names_live_side_by_side(directory: Path) -> None:
    requests = [HostRequest("web1"), HostRequest("web2")]
    providers = [ContainerProvider(directory / "one"), ContainerProvider(directory / "two")]
    try:
        with ThreadPoolExecutor(2) as pool:
            one, two = pool.map(lambda provider: provider.create(requests, quiet), providers)
        assert len({host.address for host in (*one, *two)}) == 4
        assert not {str(providers[0].network.subnet)} & {str(providers[1].network.subnet)}
        ssh(one[0], "touch /root/mine")
        assert ssh(two[0], "ls /root/mine").returncode != 0
        providers[0].destroy(["web1", "web2"], quiet)
        assert [ssh(host, "true").returncode for host in two] == [0, 0]
    finally:
        for provider in providers:
            provider.destroy(["web1", "web2"], quiet)
    assert [traces(provider.project.identifier) for provider in providers] == [NOTHING, NOTHING]


def test_hosts_made_at_the_same_time_one_by_one_do_not_collide(directory: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda name: ContainerProvider(directory).create([HostRequest(name)], quiet)[0], ["a", "b", "c"]))
    assert len({host.address for host in made}) == 3
    assert [ssh(host, "hostname").stdout.strip() for host in made] == ["a", "b", "c"]


def test_a_range_that_the_machine_uses_is_refused(directory: Path) -> None:
    provider = ContainerProvider(directory, network="127.0.0.0/16")
    with pytest.raises(UsageError, match="would hide the address of lo"):
        provider.create([HostRequest("web1")], quiet)
    assert traces(provider.project.identifier) == NOTHING


def test_a_range_of_the_users_own_is_used(directory: Path) -> None:
    wanted = next(part for part in slices("another") if not hidden_by(part, needed_addresses()))
    host = ContainerProvider(directory, network=str(wanted)).create([HostRequest("web1")], quiet)[0]
    assert host.address == str(wanted[11])
    assert ssh(host, "true").returncode == 0


def test_hosts_have_no_way_out_of_their_network_even_when_root_there_makes_a_route(directory: Path, host: LabHost) -> None:
    provider = ContainerProvider(directory)
    other = provider.create([HostRequest("web1")], quiet)[0]
    assert "default" not in host.run("ip route").stdout
    host.run(f"ip route add default via {host.controller_address}", check=True)
    assert host.run(f"timeout 2 bash -c '< /dev/tcp/{other.address}/22'").returncode != 0
    assert Path("/proc/sys/net/ipv4/conf", provider.network.bridge, "forwarding").read_text() == "0\n"


def test_an_unknown_host_is_named_with_its_neighbour(directory: Path) -> None:
    provider = ContainerProvider(directory)
    provider.create([HostRequest("web1")], quiet)
    with pytest.raises(UsageError, match="there is no host 'wbe1'; did you mean 'web1'"):
        provider.reboot(["wbe1"], quiet)


def test_a_host_made_for_some_packages_gets_more_when_it_is_booted_again_with_more(directory: Path, lab_pool: Pool) -> None:
    provider = ContainerProvider(directory)
    old, new = map(str, lab_pool.debs)
    host = provider.create([HostRequest("web1")], quiet)[0]
    assert ssh(host, "apt-get update").returncode == 0
    assert ssh(host, "apt-get install --yes cookline-hello").returncode != 0
    for debs, version in (([old], "1.0"), ([new], "1.1")):
        provider.stop(["web1"], quiet)
        provider.create([HostRequest("web1", {"packages": debs})], quiet)
        assert ssh(host, "apt-get update && apt-get install --yes cookline-hello").returncode == 0
        assert ssh(host, "cookline-hello").stdout == f"hello {version}\n"
    assert ssh(host, "apt-cache policy cookline-hello").stdout.count("file:/srv/cookline-packages") == 2


def test_a_package_that_debian_does_not_have_is_named(directory: Path) -> None:
    provider = ContainerProvider(directory)
    with pytest.raises(UsageError, match="haproxxy"):
        provider.create([HostRequest("web1", {"packages": ["haproxxy"]})], quiet)
    assert traces(provider.project.identifier) == NOTHING


def test_without_root_the_message_says_how_to_get_it(directory: Path) -> None:
    directory.chmod(0o777)
    program = """
        import os, sys
        from pathlib import Path
        from cookline.control.providers.base import HostRequest
        from cookline.control.providers.container.provider import ContainerProvider
        from cookline.errors import UsageError
        os.setuid(65534)
        try:
            ContainerProvider(Path(sys.argv[1])).create([HostRequest("web1")], print)
        except UsageError as error:
            print(error)
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(directory)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert "the container provider needs root" in done.stdout
    assert "run the same command with sudo" in done.stdout


def test_a_disk_that_a_killed_process_left_half_made_is_made_anew(directory: Path) -> None:
    provider, request = ContainerProvider(directory), HostRequest("web1")
    provider.create([request], quiet)
    machine = provider.faults("web1").machine
    provider.stop(["web1"], quiet)
    (machine.root / "root/.ssh/authorized_keys").unlink()
    (machine.directory / "made").unlink()
    assert ssh(provider.create([request], quiet)[0], "true").returncode == 0


# faults


def test_a_partition_is_silence_and_an_open_session_outlives_it(host: LabHost) -> None:
    command = ["ssh", "-F", str(host.ssh_config), host.name, "echo open; read line; echo got $line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "open\n"
        host.partition()
        refused = host.run("true")
        host.heal()
        output, _ = session.communicate("on\n", timeout=60)
    assert refused.returncode == 255 and "port 22" in refused.stderr
    assert (session.returncode, output) == (0, "got on\n")


def test_a_frozen_host_accepts_and_says_nothing_until_it_thaws(host: LabHost) -> None:
    host.freeze()
    frozen = host.run("true")
    assert frozen.returncode == 255 and "banner" in frozen.stderr
    host.thaw()
    assert host.run("echo back").stdout == "back\n"


def test_a_power_cut_ends_everything_and_the_disk_stays(host: LabHost) -> None:
    host.run("echo kept > /root/kept; echo gone > /run/gone; nohup sleep 1000 >/dev/null 2>&1 & disown", check=True)
    before = host.run("cat /proc/sys/kernel/random/boot_id").stdout
    host.power_cut()
    assert host.run("true").returncode == 255
    host.boot()
    assert host.run("cat /root/kept; ls /run/gone; pgrep sleep").stdout == "kept\n"
    assert host.run("cat /proc/sys/kernel/random/boot_id").stdout != before


def test_a_reboot_is_clean_and_so_is_one_that_the_host_asks_for(host: LabHost) -> None:
    unit = (
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sh -c 'echo stopped >> /root/stops'\n"
    )
    host.run("cat > /etc/systemd/system/witness.service && systemctl start witness", stdin=unit, check=True)
    host.reboot()
    assert host.run("cat /root/stops").stdout == "stopped\n"
    host.run("systemctl start witness", check=True)
    with host.expect_reboot():
        host.run("systemctl reboot")
    assert host.run("cat /root/stops").stdout == "stopped\nstopped\n"


def test_users_are_as_the_image_promises(host: LabHost) -> None:
    assert host.run("sudo -n id -u", user="ops").stdout == "0\n"
    asked = host.run("sudo -n id -u", user="deployer")
    assert asked.returncode == 1 and "password is required" in asked.stderr
    assert host.run("sudo -S id -u", user="deployer", stdin="deployer\n").stdout == "0\n"


def test_a_realistic_host_has_what_hosts_outside_have(lab_hosts: LabHosts) -> None:
    real = lab_hosts(1, image="debian-12-realistic")[0]
    assert real.run("systemctl is-enabled apt-daily.timer").stdout == "enabled\n"
    assert "session-" in real.run("cat /proc/self/cgroup").stdout
    assert "maxsessions 10\n" in real.run("sshd -T").stdout


def test_hosts_boot_freeze_and_go_on_a_machine_with_cgroup_v2(directory: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from cookline.control.providers.base import HostRequest
        from cookline.control.providers.container import cgroup
        from cookline.control.providers.container.provider import ContainerProvider
        provider = ContainerProvider(Path(sys.argv[1]))
        provider.create([HostRequest("web1")], print)
        faults = provider.faults("web1")
        faults.freeze()
        print("unified", cgroup.unified(), "frozen", faults.machine.group.frozen)
        faults.thaw()
        faults.reboot()
        faults.power_cut()
        print(provider.status([HostRequest("web1")])[0].state)
        faults.boot()
        print(provider.status([HostRequest("web1")])[0].state)
        faults.freeze()
        provider.destroy(["web1"], print)
        print("groups", faults.machine.group.main.exists())
    """
    # in a mount namespace of its own, /sys/fs/cgroup is what such a machine has there
    shell = 'umount --recursive --lazy /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    arguments = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh"]
    arguments += [sys.executable, "-c", textwrap.dedent(program), str(directory)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("web1")]
    assert lines == ["unified True frozen True", "stopped", "running", "groups False"]


# the pool


def test_hosts_of_a_killed_test_process_go_when_the_next_begins() -> None:
    program = """
        from tests.lab.hosts import open_pool
        with open_pool() as pool:
            pool.take(["lab1"], "debian-12")
            print("project", pool.provider.project.identifier, flush=True)
            input()
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as killed:
        assert killed.stdout is not None
        identifier = next(line.split()[1] for line in killed.stdout if line.startswith("project "))
        killed.send_signal(signal.SIGKILL)
    assert traces(identifier)["processes"] != []
    remove_orphans()
    assert traces(identifier) == NOTHING


def test_hosts_of_a_living_test_process_are_left_alone(lab_pool: Pool, host: LabHost) -> None:
    remove_orphans()
    assert host.run("true").returncode == 0


def test_a_package_that_somebody_has_damaged_in_the_cache_is_put_right(directory: Path, lab_pool: Pool) -> None:
    provider, settings = ContainerProvider(directory), {"packages": [str(lab_pool.debs[0])]}
    provider.create([HostRequest("web1", settings)], quiet)
    record = provider.project.find("web1")
    assert record is not None
    for package in Path(record.packages).glob("*.deb"):
        package.write_bytes(b"short")
    other = provider.create([HostRequest("web2", settings)], quiet)[0]
    assert ssh(other, "apt-get -qq install cookline-hello > /dev/null; cookline-hello").stdout == "hello 1.0\n"
