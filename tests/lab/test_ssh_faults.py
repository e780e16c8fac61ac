"""What people meet between here and a host: each ends in the right error, with what mends it. Real sshd, sudo and disks."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal
from cookline.control.store.identifiers import new_identifier
from cookline.control.transport.base import Target
from cookline.control.transport.bundle import bundle
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.ssh import connection, quick_socket
from cookline.control.transport.trees import Tree, TreeSet
from cookline.errors import (
    EXIT_DIFFERS,
    EXIT_OK,
    AuthenticationError,
    BecomeError,
    HostileOutput,
    HostKeyError,
    HostStateError,
    PythonMissing,
    Unreachable,
)
from tests.conftest import LabHosts
from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

Hello = Callable[..., dict[str, object]]


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


@pytest.fixture
def hello(host: LabHost, pool: Pool, tmp_path: Path) -> Hello:
    """Says hello to the host, as a target with these changes."""
    return lambda **changes: Conversation(pool, replace(target_of(host, tmp_path), **changes)).hello()


def add_user(host: LabHost, sudoers: str = "") -> None:
    """A user called cook, who can log in with the host's key."""
    host.run(
        "useradd -m -s /bin/bash cook && cp -r /root/.ssh /home/cook/ && chown -R cook: /home/cook/.ssh"
        + (f" && echo '{sudoers}' > /etc/sudoers.d/cook && chmod 440 /etc/sudoers.d/cook" if sudoers else ""),
        check=True,
    )


# -- reaching it -------------------------------------------------------------------------------------------------------


def test_a_closed_port_says_refused(hello: Hello, host: LabHost) -> None:
    with pytest.raises(Unreachable, match=rf"{host.name} .*:4022\) refuses connections"):
        hello(port=4022)


def test_a_host_without_a_link_is_not_waited_for_longer_than_said(hello: Hello, host: LabHost) -> None:
    host.partition()
    with pytest.raises(Unreachable, match=r"did not answer within 0\.5 s"):
        hello(connect_timeout=0.5)
    host.heal()
    assert hello()["protocol"] == 1


def test_a_frozen_host_that_accepts_and_says_nothing_is_named_so(hello: Hello, host: LabHost) -> None:
    host.freeze()
    with pytest.raises(Unreachable, match="accepted the connection, but"):
        hello(connect_timeout=0.5)
    host.thaw()


def test_an_unknown_name_is_the_dns(hello: Hello) -> None:
    with pytest.raises(Unreachable, match=r"the name 'web\.invalid' is unknown"):
        hello(address="web.invalid")


# -- host keys ---------------------------------------------------------------------------------------------------------


def a_key(directory: Path) -> str:
    """A fresh key pair; the path of its private part."""
    path = directory / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return str(path)


def test_a_changed_key_shows_both_and_trust_puts_the_new_one_in_place(
    host: LabHost, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / ".cookline" / "known_hosts"
    pins.parent.mkdir()
    old = " ".join(Path(a_key(tmp_path) + ".pub").read_text().split()[:2])
    pins.write_text(f"other {old}\n{host.address} {old}\n")
    target = replace(target_of(host, tmp_path), known_hosts=(str(pins),))
    with pytest.raises(HostKeyError) as caught:
        pool.connection(target)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=host.known_host, capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert f"found    ssh-ed25519 {fingerprint}" in caught.value.message
    assert f"{pins}:2" in caught.value.message
    assert f"cookline trust {host.name}" in str(caught.value.hint)

    code, out = trust(tmp_path, monkeypatch, host.address)
    assert code == EXIT_DIFFERS
    assert "ANOTHER KEY" in out and fingerprint in out
    code, out = trust(tmp_path, monkeypatch, host.address, "--yes")
    assert code == EXIT_OK
    assert pool.connection(target).alive()
    assert pins.read_text().splitlines() == [f"other {old}", f"{host.address} {host.known_host}"]
    code, out = trust(tmp_path, monkeypatch, host.address, "--json")
    assert [code, json.loads(out)[0]["status"]] == [EXIT_OK, "trusted"]


def trust(directory: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.chdir(directory)
    monkeypatch.delenv("COOKLINE_DIRECTORY", raising=False)
    monkeypatch.setenv("HOME", str(directory))
    out: list[str] = []
    code = run_command(["trust", *arguments], Session(Terminal(out.append, out.append, 120, False)))
    return code, "".join(out)


def test_an_unknown_key_is_never_taken_by_itself(host: LabHost, pool: Pool, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  GlobalKnownHostsFile /dev/null\n")
    with pytest.raises(HostKeyError, match="is not known; it shows ssh-ed25519 SHA256:"):
        pool.connection(replace(target_of(host, tmp_path), known_hosts=(), ssh_config=str(config)))


# -- logging in --------------------------------------------------------------------------------------------------------


def test_a_refused_login_says_which_keys_were_tried(hello: Hello, tmp_path: Path) -> None:
    key = a_key(tmp_path)
    with pytest.raises(AuthenticationError, match=rf"does not let root in: {key}"):
        hello(identity_file=key)


def test_a_key_with_a_passphrase_says_what_to_do(hello: Hello, tmp_path: Path) -> None:
    key = a_key(tmp_path)
    subprocess.run(["ssh-keygen", "-q", "-p", "-f", key, "-N", "secret phrase"], check=True)
    with pytest.raises(AuthenticationError, match="has a passphrase and is not in the SSH agent"):
        hello(identity_file=key)


def test_the_ssh_agent_serves_a_key_that_is_in_no_file(
    host: LabHost, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        agent.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", host.identity_file], check=True)
        target = replace(target_of(host, tmp_path), identity_file=None, ssh_config="none")
        assert pool.connection(target).alive()
    finally:
        agent.terminate()
        agent.wait()
        agent.stdout.close()


# -- becoming root -----------------------------------------------------------------------------------------------------


def test_a_user_with_sudo_runs_everything_as_root_and_nothing_is_readable_by_others(hello: Hello, host: LabHost) -> None:
    add_user(host, "cook ALL=(ALL) NOPASSWD: ALL")
    hello(user="cook")
    modes = host.run("find /var/lib/cookline -printf '%U %m\\n' | sort -u").stdout.split("\n")
    assert {line for line in modes if line} <= {"0 700", "0 600"}
    assert host.run("find / -xdev -user cook -newer /etc/sudoers.d/cook -type f").stdout == ""


@pytest.mark.parametrize(
    ("sudoers", "reason"),
    [
        ("cook ALL=(ALL) ALL", "sudo asks for a password"),
        ("", "sudo asks for a password"),
        ("cook ALL=(ALL) NOPASSWD: /usr/bin/true", "sudo asks for a password"),
        ("Defaults requiretty\ncook ALL=(ALL) NOPASSWD: ALL", "requiretty"),
    ],
)
def test_sudo_that_refuses_names_the_reason_and_the_honest_mend(hello: Hello, host: LabHost, sudoers: str, reason: str) -> None:
    add_user(host, sudoers)
    with pytest.raises(BecomeError, match=reason) as caught:
        hello(user="cook")
    assert "cook ALL=(ALL) NOPASSWD: ALL" in str(caught.value.hint)
    assert "python3 alone is the same thing" in str(caught.value.hint)


def test_messages_of_sudo_are_understood_in_a_host_of_any_language(hello: Hello, host: LabHost) -> None:
    add_user(host, "cook ALL=(ALL) ALL")
    host.run("printf 'LANG=de_DE.UTF-8\\nLC_ALL=de_DE.UTF-8\\n' > /etc/default/locale", check=True)
    with pytest.raises(BecomeError, match="asks for a password"):
        hello(user="cook")


def test_a_host_without_sudo_is_named_so(hello: Hello, host: LabHost) -> None:
    add_user(host)
    host.run("chmod a-x /usr/bin/sudo; mv /usr/bin/sudo /root/", check=True)
    with pytest.raises(BecomeError, match="sudo is not installed"):
        hello(user="cook")


def test_a_user_who_stays_a_user_is_told_what_root_is_needed_for(hello: Hello, host: LabHost) -> None:
    add_user(host)
    with pytest.raises(HostStateError, match="cook may not write") as caught:
        hello(user="cook", become=False)
    assert "become: false" in str(caught.value.hint)


# -- python ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "cook"])
def test_a_missing_python_is_named_with_both_ways_out(hello: Hello, host: LabHost, user: str) -> None:
    add_user(host, "cook ALL=(ALL) NOPASSWD: ALL")
    with pytest.raises(PythonMissing, match=r"has no python3\.99") as caught:
        hello(user=user, python="python3.99")
    assert "`python:`" in str(caught.value.hint) and "`bootstrap: apt`" in str(caught.value.hint)


def test_an_old_python_is_named_with_its_version(hello: Hello, host: LabHost) -> None:
    script = (
        "#!/usr/bin/python3\nimport sys\nsys.version_info = (3, 7, 3, 'final', 0)\n"
        "code = sys.argv[4]\nsys.argv = sys.argv[4:]\nexec(code)\n"
    )
    host.run("cat > /usr/local/bin/python3.7; chmod +x /usr/local/bin/python3.7", stdin=script, check=True)
    with pytest.raises(PythonMissing, match=r"has Python 3\.7\.3 as python3\.7; 3\.9 or newer"):
        hello(python="python3.7")


def test_a_python_that_a_stack_asks_for_is_installed_when_it_is_missing(hello: Hello, host: LabHost) -> None:
    host.run("mv /usr/bin/python3 /usr/bin/python3-away; ln -s /nowhere /usr/bin/python3", check=True)
    with pytest.raises(PythonMissing, match="has no python3"):
        hello()
    # apt finds the package installed and does nothing; what it would unpack comes back behind its back
    host.run(
        "mv /usr/bin/apt-get /usr/bin/apt-get-real; printf '#!/bin/sh\\n"
        'case "$*" in *install*) mv -f /usr/bin/python3-away /usr/bin/python3;; esac; exec apt-get-real "$@"\\n\''
        " > /usr/bin/apt-get; chmod +x /usr/bin/apt-get",
        check=True,
    )
    assert hello(bootstrap="apt")["protocol"] == 1


def test_what_a_login_shell_prints_is_passed_over(hello: Hello, host: LabHost) -> None:
    add_user(host, "cook ALL=(ALL) NOPASSWD: ALL")
    host.run("sed -i '1i echo Welcome to this machine\\necho {tidy: no}' /home/cook/.bashrc", check=True)
    assert hello(user="cook")["protocol"] == 1


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
def test_the_command_passes_through_the_login_shell(hello: Hello, host: LabHost, shell: str) -> None:
    host.run(f"usermod -s {shell} root", check=True)
    assert hello()["protocol"] == 1


# -- jumping -----------------------------------------------------------------------------------------------------------


def jump_config(tmp_path: Path, *lines: str) -> str:
    config = tmp_path / "jump_config"
    config.write_text("\n".join(lines) + "\n")
    return str(config)


def test_two_jump_hosts_lead_to_a_third(lab_hosts: LabHosts, pool: Pool, tmp_path: Path) -> None:
    first, second, last = lab_hosts(3)
    config = jump_config(
        tmp_path,
        f"Host first\n  HostName {first.address}\n  User root\n  IdentityFile {first.identity_file}",
        f"Host second\n  HostName {second.address}\n  User root\n  IdentityFile {second.identity_file}",
        f"Host {last.address}\n  ProxyJump first,root@second:22",
    )
    target = target_of(last, tmp_path, ssh_config=config)
    for known in (first, second):
        with Path(target.known_hosts[0]).open("a") as file:
            file.write(f"{known.address} {known.known_host}\n")
    assert Conversation(pool, target).hello()["protocol"] == 1
    peers = last.run("journalctl -u ssh --output=cat | grep 'Accepted publickey' | tail -2").stdout
    assert second.address in peers
    assert "Accepted publickey" in second.run(f"journalctl -u ssh --output=cat | grep 'from {first.address}'").stdout


def test_a_jump_host_is_checked_as_strictly_as_the_last(lab_hosts: LabHosts, pool: Pool, tmp_path: Path) -> None:
    jump, last = lab_hosts(2)
    config = jump_config(
        tmp_path,
        f"Host jump\n  HostName {jump.address}\n  User root\n  GlobalKnownHostsFile none",
        f"Host {last.address}\n  ProxyJump jump",
        "Host *\n  UserKnownHostsFile none",
    )
    with pytest.raises(HostKeyError, match=r"jump host jump .* is not known") as caught:
        pool.connection(target_of(last, tmp_path, ssh_config=config))
    assert "cookline trust jump" in str(caught.value.hint)


def test_a_host_behind_a_jump_host_that_is_down_is_named(lab_hosts: LabHosts, pool: Pool, tmp_path: Path) -> None:
    jump, last = lab_hosts(2)
    target = target_of(last, tmp_path, ssh_config=jump_config(tmp_path, f"Host *\n  ProxyJump root@{jump.address}"))
    config = jump_config(tmp_path, f"Host {jump.address}\n  ProxyJump none", f"Host *\n  ProxyJump root@{jump.address}")
    with Path(target.known_hosts[0]).open("a") as file:
        file.write(f"{jump.address} {jump.known_host}\n")
    with pytest.raises(Unreachable, match=f"the jump host cannot reach {last.name} .*:4022"):
        pool.connection(replace(target, port=4022, ssh_config=config))


def test_jump_hosts_in_a_circle_are_found_out(hello: Hello, tmp_path: Path) -> None:
    config = jump_config(tmp_path, "Host a\n  ProxyJump b", "Host b\n  ProxyJump a", "Host *\n  ProxyJump a")
    with pytest.raises(Unreachable, match="in a circle"):
        hello(ssh_config=config)


# -- sessions, disks, links --------------------------------------------------------------------------------------------


def test_more_operations_at_once_than_the_server_takes_sessions(host: LabHost, pool: Pool, tmp_path: Path) -> None:
    host.run("echo MaxSessions 2 > /etc/ssh/sshd_config.d/few.conf; systemctl restart ssh", check=True)
    conversation = Conversation(pool, target_of(host, tmp_path))
    conversation.hello()
    held = [conversation.session() for _ in range(2)]
    answers = pool.each(lambda _: conversation.status()["kind"], range(4))
    assert answers == ["answer"] * 4
    for session in held:
        session.close()


@pytest.mark.parametrize(("options", "reason"), [("size=1m", "no room on"), ("ro", "read-only")])
def test_a_disk_that_takes_nothing_is_named_and_keeps_nothing(hello: Hello, host: LabHost, options: str, reason: str) -> None:
    host.run(f"mkdir -p /var/lib/cookline; mount -t tmpfs -o {options} none /var/lib/cookline", check=True)
    with pytest.raises(HostStateError, match=reason):
        hello()
    assert host.run("find /var/lib/cookline -type f; find /var/lib/cookline -name '.incoming*'").stdout == ""
    host.run("umount /var/lib/cookline", check=True)
    assert hello()["protocol"] == 1


def test_a_disk_that_fills_up_while_a_tree_arrives_keeps_no_half_of_it(host: LabHost, pool: Pool, tmp_path: Path) -> None:
    host.run("mkdir -p /var/lib/cookline; mount -t tmpfs -o size=12m none /var/lib/cookline", check=True)
    target = target_of(host, tmp_path)
    Conversation(pool, target).hello()
    tree = Tree.of_contents({"files/big": bytes(range(256)) * 4096 * 12})
    with pytest.raises(HostStateError, match="no room on"):
        run_with(pool, target, TreeSet([tree]), tree.hash)
    assert host.run("find /var/lib/cookline -name '.incoming*' -o -path '*/runs/*'").stdout == ""


def run_with(pool: Pool, target: Target, trees: TreeSet, tree: str) -> dict[str, object]:
    controller = Controller(target, "def recipe(node): pass")
    request = controller.request(new_identifier(), trees={"cookbook:test": tree})
    return Conversation(pool, target).run(request, trees, lambda event: None)


def test_contents_that_do_not_hash_right_are_refused_by_the_host(host: LabHost, pool: Pool, tmp_path: Path) -> None:
    target = target_of(host, tmp_path)
    good = Tree.of_contents({"recipes/default.py": b"def recipe(node):\n    pass\n"})
    evil = Tree.of_contents({"recipes/default.py": b"raise SystemExit\n"})
    [(_path, _mode, content)] = good.manifest
    forged = Tree(good.manifest, {content: next(iter(evil.sources.values()))})
    with pytest.raises(HostStateError, match=f"should hash to {content[:12]}"):
        run_with(pool, target, TreeSet([forged]), good.hash)
    assert host.run(f"ls /var/lib/cookline/trees/{good.hash} /var/lib/cookline/objects/{content}").stdout == ""
    assert run_with(pool, target, TreeSet([good]), good.hash)["outcome"] == "successful"


def test_a_damaged_bundle_is_replaced(hello: Hello, host: LabHost) -> None:
    hello()
    tree = bundle().hashes["x86_64"]
    host.run(
        f"rm /var/lib/cookline/trees/{tree}/.complete; echo x >> /var/lib/cookline/trees/{tree}/cookline/protocol.py",
        check=True,
    )
    hello()
    assert "\nx\n" not in host.run(f"cat /var/lib/cookline/trees/{tree}/cookline/protocol.py").stdout


WAITING = """
    def recipe(node):
        node.ensure(Execute("echo begun >> /root/done"))
        node.ensure(Execute("until [ -e /root/go ]; do sleep 0.1; done; echo done >> /root/done"))
"""


def test_a_silent_link_is_given_up_and_the_run_followed_on_over_a_new_one(
    host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TCP_IDLE_SECONDS": 1, "TCP_INTERVAL_SECONDS": 1, "TCP_PROBES": 1}.items():
        monkeypatch.setattr(quick_socket, name, value)
    monkeypatch.setattr(quick_socket, "TCP_UNANSWERED_MILLISECONDS", 1000)
    controller = Controller(replace(target_of(host, tmp_path), connect_timeout=1.0), WAITING)
    run = controller.begin()
    run.wait_for("changed")
    host.partition()
    while not run.link and not run.error:
        threading.Event().wait(0.05)
    host.heal()
    host.run("touch /root/go", check=True)
    assert run.join()["outcome"] == "successful"
    assert "connected again" in run.link[-1]
    assert host.run("cat /root/done").stdout == "begun\ndone\n"
    assert [event["seq"] for event in run.events] == list(range(len(run.events)))
    controller.close()


def test_a_host_that_freezes_in_mid_run_is_noticed_and_followed_on_when_it_thaws(
    host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    controller = Controller(replace(target_of(host, tmp_path), connect_timeout=1.0), WAITING)
    run = controller.begin()
    run.wait_for("changed")
    host.freeze()
    while not run.link and not run.error:
        threading.Event().wait(0.05)
    host.thaw()
    host.run("touch /root/go", check=True)
    assert run.join()["outcome"] == "successful"
    assert host.run("cat /root/done").stdout == "begun\ndone\n"
    controller.close()


def test_logins_that_sshd_drops_are_tried_again(host: LabHost, tmp_path: Path) -> None:
    host.run("echo MaxStartups 1:30:40 > /etc/ssh/sshd_config.d/few.conf; systemctl restart ssh", check=True)
    target = target_of(host, tmp_path)
    with Pool() as pool:
        same_host = [replace(target, instance=f"name{number}") for number in range(8)]
        assert all(connection.alive() for connection in pool.each(pool.connection, same_host))


def test_connections_through_a_jump_host_share_one_login_there(lab_hosts: LabHosts, pool: Pool, tmp_path: Path) -> None:
    jump, last = lab_hosts(2)
    target = target_of(last, tmp_path)
    config = jump_config(
        tmp_path, f"Host jump\n  HostName {jump.address}\n  User root", f"Host {last.address}\n  ProxyJump jump"
    )
    with Path(target.known_hosts[0]).open("a") as file:
        file.write(f"{jump.address} {jump.known_host}\n")
    targets = [replace(target, instance=f"name{number}", ssh_config=config) for number in range(6)]
    count = "journalctl -u ssh --output=cat | grep -c 'Accepted publickey'"
    before = int(jump.run(count).stdout)
    pool.each(pool.connection, targets)
    after = int(jump.run(count).stdout)
    assert after - before == 2, "one for all the connections, one for asking"
    for each in targets:
        pool.drop(each)
    with pytest.raises(AssertionError):
        jump.run("pgrep -af 'sshd: root@notty' | grep -v pgrep | sed 1d | grep .", check=True)


# -- hosts that lie ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("tr '\\0' x < /dev/zero", "without end"),
        ('printf \'{"kind":"\\033]0;owned\\007"}\\n\'', "not JSON"),
        ('echo \'{"kind":"surprise"}\'', "unknown event"),
        ('echo \'{"kind":"need","trees":["../../etc"]}\'', "not part of this run"),
        ("yes", "prints text of its own"),
    ],
)
def test_a_host_that_says_anything_it_likes_is_cut_off(hello: Hello, host: LabHost, script: str, reason: str) -> None:
    host.run("cat > /root/liar; chmod +x /root/liar", stdin=f"#!/bin/sh\n{script}\n", check=True)
    with pytest.raises(HostileOutput, match=reason) as caught:
        hello(python="/root/liar")
    assert "\x1b" not in str(caught.value)
