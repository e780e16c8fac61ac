"""What `cookline show` tells of a run."""

import json
from pathlib import Path

from tests.unit.cli.conftest import Run

STACK = """\
stack: shop
layers:
  web: {recipes: {setup: [web]}}
instances:
  web1: {layers: [web], transport: dummy, settings: {resources: 2}}
"""


def test_a_run_names_its_slowest_resources(project: Path, command: Run) -> None:
    (project / "shop.yml").write_text(STACK)
    assert command("push", "shop.yml")[0] == 0
    assert command("setup", "shop")[0] == 0
    (run,) = [each for each in json.loads(command("runs", "shop", "--json")[1])[0]["runs"] if each["event"] == "setup"]
    lines = command("show", run["id"])[1].splitlines()
    place = lines.index("  slowest:")
    assert [line.split()[-1] for line in lines[place + 1 :]] == ["/dummy/0", "/dummy/1"]
    (shown,) = json.loads(command("show", run["id"], "--json")[1])
    assert [each["name"] for each in shown["events"][-1]["slowest"]] == ["/dummy/0", "/dummy/1"]
