"""cookline kitchen where no host is needed: init, list, diagnose, logs, and what is said when there is nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from cookline.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cookline.kitchen.record import Records
from tests.unit.cli.conftest import Run


def test_init_writes_a_cookbook_whose_suite_is_whole(command: Run, tmp_path: Path) -> None:
    code, out, _ = command("kitchen", "init", "web")
    assert (code, out.splitlines()[-1]) == (EXIT_OK, "now: cookline kitchen test web")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("cookbooks/**/*.*")) == [
        "cookbooks/web/cookbook.yml",
        "cookbooks/web/kitchen.yml",
        "cookbooks/web/recipes/default.py",
        "cookbooks/web/tests/test_web.py",
    ]
    code, out, _ = command("kitchen", "list", "--json")
    assert [each["name"] for each in json.loads(out)] == ["web-debian-11", "web-debian-12", "web-debian-13"]


def test_init_touches_nothing_of_a_cookbook_that_is_there(command: Run, project: Path) -> None:
    recipe = (project / "cookbooks/web/recipes/default.py").read_text()
    assert "cookbooks/web/kitchen.yml" in command("kitchen", "init", "web")[1]
    assert (project / "cookbooks/web/recipes/default.py").read_text() == recipe
    assert command("kitchen", "init", "web")[1] == "web has all of it already\n"
    code, _, errors = command("kitchen", "init", "../web")
    assert (code, "'../web' cannot be the name of a cookbook" in errors) == (EXIT_USAGE, True)
    assert "this folder is no cookbook" in command("kitchen", "init")[2]


def test_a_project_that_init_writes_has_a_suite(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command("init", "shop")
    monkeypatch.chdir(tmp_path / "shop")
    assert "hello-debian-12" in command("kitchen", "list")[1]


def test_diagnose_shows_what_a_suite_comes_to(command: Run, project: Path) -> None:
    command("kitchen", "init", "web")
    suite = "suites: {default: {recipes: [web], snapshot: {instances: {app1: {layers: [app]}}}}}\n"
    (project / "cookbooks/web/kitchen.yml").write_text("platforms: [debian-12]\n" + suite)
    told = json.loads(command("kitchen", "diagnose", "--json")[1])
    host = told["hosts"]["web-debian-12"]
    assert (host["recipes"], host["neighbours"], host["provider"]) == ({"setup": ["web::default"]}, ["app1"], "container")
    assert {"root", "missing programs", "images"} <= {*told["machine"]}
    code, _, errors = command("kitchen", "diagnose", "wep")
    assert (code, "there are web-debian-12" in errors) == (EXIT_USAGE, True)


def test_nothing_to_list_destroy_or_show_is_told_with_what_to_do(command: Run, tmp_path: Path) -> None:
    assert "`cookline kitchen init COOKBOOK` writes one" in command("kitchen", "list")[1]
    assert command("kitchen", "destroy")[1] == "the kitchen has no hosts\n"
    code, _, errors = command("kitchen", "test")
    assert (code, "`cookline kitchen init COOKBOOK` writes one" in errors) == (EXIT_USAGE, True)
    assert command("kitchen", "logs", "web")[0] == EXIT_USAGE
    assert list(tmp_path.iterdir()) == []


def test_logs_show_the_differences_of_a_host_that_is_gone(command: Run, tmp_path: Path) -> None:
    records = Records(tmp_path / ".cookline" / "kitchen")
    records.begin_log("web-debian-12")
    records.log("web-debian-12", {"kind": "phase", "phase": "converge"})
    records.log(
        "web-debian-12", {"kind": "changed", "name": "File[/etc/web]", "changes": [], "diff": "+one\n", "step": "setup"}
    )
    code, out, _ = command("kitchen", "logs", "web")
    assert (code, out.splitlines()[0].split()) == (EXIT_OK, ["0.00", "converge"])
    assert out.splitlines()[1].endswith("+ File[/etc/web]") and out.splitlines()[2].strip() == "+one"


def test_a_full_disk_is_told_as_one(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command("kitchen", "init", "web")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    code, _, errors = command("kitchen", "converge", "web-debian-12")
    assert (code, f"the disk of {tmp_path / '.cookline'} is full" in errors) == (EXIT_FAILED, True)
