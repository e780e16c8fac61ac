import json
import os

import pytest

from cookline.errors import HostStateError
from cookline.host.resident import inventory


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "inventory.json")


def entry(recipe, **more):
    return {"kind": "File", "recipe": recipe, "desired": {}, "declaration": {}, "paths": [], **more}


def names(path):
    return set(inventory.read(path)["declarations"])


def test_a_recipe_that_ran_replaces_what_it_declared_before_and_nothing_else(path):
    inventory.record_run("1", "setup", ["a", "b"], {"File[1]": entry("a"), "File[2]": entry("b")}, path=path)
    inventory.record_run("2", "configure", ["a"], {"File[3]": entry("a")}, path=path)
    assert names(path) == {"File[2]", "File[3]"}
    assert inventory.read(path)["declarations"]["File[3]"]["run"] == "2"


def test_a_recipe_that_failed_adds_what_it_reached_and_keeps_the_rest(path):
    inventory.record_run("1", "setup", ["a"], {"File[1]": entry("a"), "File[2]": entry("a")}, path=path)
    inventory.record_run("2", "setup", [], {"File[1]": entry("a", line=9)}, path=path)
    assert names(path) == {"File[1]", "File[2]"}
    assert inventory.read(path)["declarations"]["File[1]"]["line"] == 9


def test_two_apps_deployed_by_one_recipe_do_not_replace_each_other(path):
    inventory.record_run("1", "deploy", ["app::deploy"], {"Release[shop]": entry("app::deploy")}, app="shop", path=path)
    inventory.record_run("2", "deploy", ["app::deploy"], {"Release[blog]": entry("app::deploy")}, app="blog", path=path)
    assert names(path) == {"Release[shop]", "Release[blog]"}


def test_an_undeploy_takes_away_what_the_deploys_of_that_app_declared(path):
    inventory.record_run("1", "deploy", ["app::deploy"], {"Release[shop]": entry("app::deploy")}, app="shop", path=path)
    inventory.record_run("2", "deploy", ["app::deploy"], {"Release[blog]": entry("app::deploy")}, app="blog", path=path)
    gone = {"Directory[/srv/www/shop]": entry("app::undeploy")}
    inventory.record_run("3", "undeploy", ["app::undeploy"], gone, app="shop", path=path)
    assert names(path) == {"Directory[/srv/www/shop]", "Release[blog]"}


def test_an_undeploy_that_failed_leaves_the_deploy_declared(path):
    inventory.record_run("1", "deploy", ["app::deploy"], {"Release[shop]": entry("app::deploy")}, app="shop", path=path)
    inventory.record_run("2", "undeploy", [], {}, app="shop", path=path)
    assert names(path) == {"Release[shop]"}


def test_a_recipe_that_left_the_event_s_list_declares_nothing_any_more(path):
    inventory.record_run("1", "setup", ["base", "old"], {"File[1]": entry("base"), "File[2]": entry("old")}, path=path)
    inventory.record_run("2", "configure", ["proxy"], {"File[3]": entry("proxy")}, path=path)
    inventory.record_run("3", "execute_recipes", ["once"], {"File[4]": entry("once")}, path=path)
    inventory.record_run("4", "setup", ["base"], {"File[1]": entry("base")}, path=path)
    assert names(path) == {"File[1]", "File[3]", "File[4]"}


def test_a_host_without_runs_has_an_empty_inventory(path):
    assert inventory.read(path)["declarations"] == {}


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"declarations": []}', '{"declarations": {"a": 1}}'])
def test_a_broken_inventory_is_named_and_the_next_run_writes_a_new_one(path, content):
    with open(path, "w") as file:
        file.write(content)
    with pytest.raises(HostStateError, match="cannot be read"):
        inventory.read(path)
    inventory.record_run("1", "setup", ["a"], {"File[1]": entry("a")}, path=path)
    assert names(path) == {"File[1]"}


def test_it_is_for_root_alone(path):
    inventory.write({"declarations": {}}, path)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_watched_paths_name_every_declaration_of_a_path(path):
    declarations = {"File[/a]": entry("x", paths=["/a"]), "LineInFile[/a]": entry("x", paths=["/a"]), "User[u]": entry("x")}
    assert inventory.watched_paths({"declarations": declarations}) == {"/a": ["File[/a]", "LineInFile[/a]"]}


def test_it_imports_without_psutil_and_watchdog():
    import subprocess
    import sys

    costly = "{'psutil', 'watchdog', 'jinja2', 'ssl'}"
    code = f"import sys, cookline.host.resident.inventory; print(sorted({costly} & set(sys.modules)))"
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_a_quiet_run_leaves_an_inventory_that_would_say_the_same(path, tmp_path):
    def ran_after(run, declarations, **options):
        before = inventory.read(path)["written"]
        inventory.record_run(run, "setup", ["a"], declarations, quiet=True, path=path, **options)
        return inventory.read(path)["written"] != before

    assert ran_after("1", {"File[1]": entry("a")})
    assert not ran_after("2", {"File[1]": entry("a")})
    assert ran_after("3", {"File[1]": entry("a", line=2)}) and ran_after(
        "4", {"File[1]": entry("a", line=2)}, secrets=["sesame"]
    )
    inventory.record_run("5", "configure", ["b"], {"File[1]": entry("b")}, path=path)
    assert ran_after("6", {"File[1]": entry("a", line=2)}, secrets=["sesame"])
    (tmp_path / "findings.json").write_text('{"findings":{"File[1]":{}},"told":{},"checked":{}}')
    assert ran_after("7", {"File[1]": entry("a", line=2)}, secrets=["sesame"])
