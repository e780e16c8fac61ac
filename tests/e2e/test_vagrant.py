"""vagrant/ as its users have it: checked without a machine, and three machines of the shop from nothing to nothing."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cookline.control.providers.container.addresses import needed_addresses
from cookline.control.providers.container.network import RANGES
from cookline.control.providers.registry import open_provider
from cookline.control.stack.loading import load_stack
from tests.e2e.vagrant import ROOT, Vagrant, left_behind, require_lxc, require_vagrant

# What the recipes of the three machines install. A box with just these is built once, and kept.
PACKAGES = "haproxy python3-psycopg2"

# whatever else there is on this machine
LXC = {"VAGRANT_DEFAULT_PROVIDER": "lxc"}

# One test worker has the machines: together with the box that they share it is the longest of all tests.
pytestmark = pytest.mark.xdist_group("vagrant")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with what vagrant/ needs of a project: the Vagrantfile and its neighbours, and the shop with its cookbooks."""
    for name in ("vagrant", "stacks", "cookbooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".*", "*.vagrant.yml"))
    return tmp_path


@pytest.fixture
def cheap(project: Path) -> Vagrant:
    """Vagrant without any provider: enough for looking at a Vagrantfile."""
    require_vagrant()
    return Vagrant(project / "vagrant", project / "home", {"VAGRANT_NO_PLUGINS": "1"})


def test_each_instance_of_the_stack_is_a_machine(cheap: Vagrant) -> None:
    said = cheap.good("validate", "--ignore-provider")
    assert "validated successfully" in said
    for name in ("lb1", "app1", "app2", "db1"):
        assert f"==> {name}:" in said


def test_another_stack_can_be_named_and_one_without_instances_is_refused(cheap: Vagrant, project: Path) -> None:
    (project / "other.yml").write_text("stack: other\nlayers: {web: {}}\ninstances: {web1: {layers: [web]}}\n")
    assert "==> web1:" in cheap.good("validate", "--ignore-provider", STACK="other.yml")
    (project / "empty.yml").write_text("stack: empty\n")
    for name, complaint in (("empty.yml", "defines no instances"), ("stakcs/shop.yml", "there is no stack definition")):
        done = cheap.run("validate", "--ignore-provider", STACK=name)
        assert done.returncode == 1 and complaint in done.stdout, done.stdout
        assert ".rb:" not in done.stdout, "a message, not a trace"


def test_the_provisioner_checks_its_settings(cheap: Vagrant) -> None:
    (cheap.folder / "Vagrantfile").write_text(
        textwrap.dedent("""\
            require_relative "cookline"
            Vagrant.configure("2") do |config|
              config.vm.box = "none"
              config.vm.provision "typed", type: "cookline", stak: "../stacks/shop.yml"
              config.vm.provision "missing", type: "cookline"
              config.vm.provision "nowhere", type: "cookline", stack: "stacks/none.yml"
              config.vm.provision "layer", type: "cookline", stack: "../stacks/shop.yml", layers: ["app", "balance"]
              config.vm.provision "event", type: "cookline", stack: "../stacks/shop.yml", layers: ["app"], event: "setpu"
              config.vm.provision "nobody", type: "cookline", stack: "../stacks/shop.yml"
            end
        """)
    )
    done = cheap.run("validate", "--ignore-provider")
    assert done.returncode == 1
    for complaint in (
        "there is no setting `stak`; did you mean 'stack'?",
        "`stack` is missing",
        "there is no stack definition stacks/none.yml",
        "has no layer 'balance'; did you mean 'balancer'?",
        "'setpu'; did you mean 'setup'?",
        "`layers` are missing: ",
    ):
        assert complaint in done.stdout


AS_VIRTUALBOX = """
require "json"
require "vagrant"
environment = Vagrant::Environment.new(cwd: ARGV[0])
config = environment.vagrantfile.machine_config(:app1, :virtualbox, environment.boxes, nil, false)[:config]
machine = config.vm.get_provider_config(:virtualbox)
network = config.vm.networks.find { |kind, _| kind == :private_network }.last
unknown = machine.instance_variable_get(:@__invalid_methods).to_a
changes = machine.customizations.map(&:last)
puts JSON.generate(box: config.vm.box, ip: network[:ip], clone: machine.linked_clone, changes: changes, unknown: unknown)
"""


def test_a_virtual_machine_has_its_size_and_its_address(cheap: Vagrant) -> None:
    """VirtualBox itself is not needed for it."""
    found = json.loads(cheap.good("-e", AS_VIRTUALBOX, str(cheap.folder), program="ruby").splitlines()[-1])
    assert found == {
        "box": "debian/bookworm64",
        "ip": "192.168.56.12",
        "clone": True,
        "changes": [["modifyvm", "id", "--memory", "512"], ["modifyvm", "id", "--cpus", 1]],
        "unknown": [],
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A VAGRANT_HOME with the box, which is built where this machine does not have it yet (a minute)."""
    require_lxc()
    folder = tmp_path_factory.mktemp("vagrant-home")
    Vagrant(ROOT, folder).good("debian-12", program=str(ROOT / "vagrant/build-box.sh"), PACKAGES=PACKAGES)
    yield folder
    shutil.rmtree(folder)


def test_a_machine_that_cannot_come_up_says_why_and_leaves_nothing(project: Path, home: Path, tmp_path: Path) -> None:
    nowhere = Vagrant(project / "vagrant", tmp_path / "another-home", LXC)
    done = nowhere.run("up", "lb1")
    assert done.returncode == 1 and "vagrant/build-box.sh debian-12` builds it" in done.stdout, done.stdout
    vagrant = Vagrant(project / "vagrant", home, LXC)
    for network, complaint in (("127.0.0.0/24", "would hide the address of lo"), ("10.77.3.0", "is too small")):
        done = vagrant.run("up", "lb1", NETWORK=network)
        assert done.returncode == 1 and complaint in done.stdout, done.stdout
    assert vagrant.containers() == [] and not (vagrant.folder / ".vagrant/cookline/network.json").exists()


@pytest.mark.timeout(1200)
def test_three_machines_from_nothing_to_nothing(project: Path, home: Path) -> None:
    vagrant = Vagrant(project / "vagrant", home, LXC)
    needed = needed_addresses()
    try:
        shop_comes_up(vagrant, project)
        containers, bridge = vagrant.containers(), vagrant.bridge()
        assert len(containers) == 3
        own = [network for _, network in needed_addresses() if (_, network) not in needed]
        assert own and all(any(network.subnet_of(whole) for whole in RANGES) for network in own)
        second_provision_changes_nothing(vagrant)
        machine_comes_back(vagrant)
        failed_run_fails_the_provision(vagrant, project)
        machine_that_is_destroyed_is_missed_by_nobody(vagrant)
    finally:
        vagrant.run("destroy", "--force")
    assert left_behind(containers, bridge) == []
    assert vagrant.containers() == []
    assert load_stack(project / "stacks/shop.vagrant.yml").stack.instances == {}


def shop_comes_up(vagrant: Vagrant, project: Path) -> None:
    said = vagrant.good("up", "lb1", "app1", "app2")
    assert "Package[haproxy]" in said
    instances = load_stack(project / "stacks/shop.vagrant.yml").stack.instances
    assert {name: each.layers for name, each in instances.items()} == {"lb1": ("balancer",), "app1": ("app",), "app2": ("app",)}
    assert {each.provider for each in instances.values()} == {"static"}
    # whoever came last, the balancer knows both application servers
    (vagrant.folder / ".vagrant/ssh_config").write_text(vagrant.good("ssh-config", "lb1", "app1", "app2"))
    balancer = on(vagrant, "lb1", "cat /etc/haproxy/haproxy.cfg")
    assert all(f"server {name} {instances[name].address}:8080" in balancer for name in ("app1", "app2"))
    assert answer(str(instances["lb1"].address)) == "ok\n"
    tests = ["-q", "-p", "no:cacheprovider", "--stack", "shop", "--layer", "balancer", str(ROOT / "cookbooks/haproxy/tests")]
    assert "3 passed" in vagrant.good(*tests, program="pytest")


def on(vagrant: Vagrant, machine: str, command: str) -> str:
    return vagrant.good("-F", ".vagrant/ssh_config", machine, command, program="ssh")


def answer(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/health", timeout=30) as reply:
        return str(reply.read().decode())


def second_provision_changes_nothing(vagrant: Vagrant) -> None:
    said = vagrant.good("provision")
    assert len(re.findall(r"successful, .*\d+ unchanged", said)) == 12, "three setups, each with three configures"
    assert re.findall(r".*\d changed.*", said) == []


def machine_comes_back(vagrant: Vagrant) -> None:
    """With its address, its keys, and what runs there; Vagrant does not provision it again."""
    key = "cat /etc/ssh/ssh_host_ed25519_key.pub; hostname --ip-address; hostname"
    before = on(vagrant, "app1", key)
    vagrant.good("reload", "app1")
    assert on(vagrant, "app1", key) == before


def failed_run_fails_the_provision(vagrant: Vagrant, project: Path) -> None:
    recipes = project / "cookbooks/broken/recipes"
    recipes.mkdir(parents=True)
    (recipes.parent / "cookbook.yml").write_text("name: broken\nversion: 1.0.0\n")
    (recipes / "default.py").write_text("def recipe(node):\n    raise ValueError('no shop today')\n")
    stack = project / "stacks/shop.yml"
    good = stack.read_text()
    stack.write_text(good.replace("haproxy::configure]", "haproxy::configure, broken]"))
    done = vagrant.run("provision", "lb1", EVENT="configure")
    assert done.returncode == 1
    assert "no shop today" in done.stdout and "broken/recipes/default.py:2" in done.stdout
    stack.write_text(good)


def machine_that_is_destroyed_is_missed_by_nobody(vagrant: Vagrant) -> None:
    vagrant.good("destroy", "--force", "app2")
    said = vagrant.good("provision", "lb1", EVENT="configure")
    assert "Template[/etc/haproxy/haproxy.cfg]" in said
    assert "server app2" not in on(vagrant, "lb1", "cat /etc/haproxy/haproxy.cfg")


KITCHEN = """\
providers: {vagrant: {provider: lxc}}
platforms: [debian-12]
suites:
  default: {recipes: {setup: [base], configure: [base::hosts]}, tests: [tests]}
"""


@pytest.mark.timeout(900)
def test_a_kitchen_runs_its_suites_on_vagrant(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = Vagrant(tmp_path, home)
    (tmp_path / "kitchen.yml").write_text(KITCHEN)
    shutil.copytree(ROOT / "cookbooks/base/tests", tmp_path / "tests")
    for name, value in kitchen.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / ".cookline/kitchen/providers/vagrant"
    machine = Vagrant(folder, home)
    try:
        assert "created" in kitchen.good("kitchen", "create", program="cookline")
        containers, bridge = machine.containers(), machine.bridge()
        assert len(containers) == 1
        provider = open_provider("vagrant", tmp_path / ".cookline/kitchen", tmp_path)
        provider.reboot(["default-debian-12"], print)
        provider.stop(["default-debian-12"], print)
        # a machine that is down comes up again, and is the same
        said = kitchen.good("kitchen", "verify", program="cookline")
        assert "setup again: successful, 1 unchanged" in said and "2 tests passed" in said
        assert machine.containers() == containers
    finally:
        kitchen.good("kitchen", "destroy", program="cookline")
    assert left_behind(containers, bridge) == []
    assert not folder.exists()
