"""The Vagrantfile, as far as it can be looked at without booting a machine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cookline.control.stack.loading import load_stack

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "vagrant"

CONNECTED = """
require "./hosts"
stack = StackFile.new(ARGV[0])
stack.machine_is_up("lb1", JSON.parse(ARGV[1]), ARGV[2])
puts stack.copy
"""


def validate(tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is not installed (apt-get install vagrant)")
    settings = {"VAGRANT_NO_PLUGINS": "1", "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_HOME": str(tmp_path)}
    command = ["vagrant", "validate", "--ignore-provider"]
    return subprocess.run(command, cwd=DIRECTORY, env={**os.environ, **settings, **environment}, capture_output=True, text=True)


def test_each_instance_of_the_stack_is_a_machine(tmp_path: Path) -> None:
    done = validate(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validated successfully" in done.stdout
    for name in ("lb1", "app1", "app2", "db1"):
        assert f"==> {name}:" in done.stdout


def test_another_stack_can_be_named(tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text("stack: other\nlayers: {web: {}}\ninstances: {web1: {layers: [web]}}\n")
    done = validate(tmp_path, STACK=str(other))
    assert done.returncode == 0, done.stderr
    assert "==> web1:" in done.stdout


def test_a_stack_without_instances_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "empty.yml"
    other.write_text("stack: empty\n")
    done = validate(tmp_path, STACK=str(other))
    assert done.returncode != 0
    assert "defines no instances" in done.stdout + done.stderr


def test_the_machines_become_static_instances_of_the_same_stack(tmp_path: Path) -> None:
    if shutil.which("ruby") is None:
        pytest.skip("ruby is not installed (it comes with vagrant)")
    for folder in ("stacks", "cookbooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    stack = tmp_path / "stacks/shop.yml"
    address = {"address": "192.168.56.11", "port": 22, "user": "vagrant", "identity_file": "/key"}
    script = ["ruby", "-e", CONNECTED, str(stack), json.dumps(address), str(tmp_path / "state")]
    done = subprocess.run(script, cwd=DIRECTORY, capture_output=True, text=True, check=True)
    copy = Path(done.stdout.strip())
    assert copy == tmp_path / "stacks/shop.vagrant.yml"
    instances = load_stack(copy).stack.instances
    assert {each.provider for each in instances.values()} == {"static"}
    assert (instances["lb1"].address, instances["lb1"].user) == ("192.168.56.11", "vagrant")
    assert instances["app1"].layers == ("app",)
