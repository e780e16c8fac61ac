"""What a save means: which recipes run again on whom, and which files are no saves at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookline.control.stack.revision import freeze
from cookline.kitchen.loop import Touched, difference, recipes_of
from cookline.kitchen.saves import Saves, is_scratch

STACK = """
stack: shop
cookbooks: [../cookbooks]
layers:
  web: {recipes: {setup: [web], configure: [proxy], deploy: [web::deploy]}}
  db: {recipes: {setup: [db]}}
instances:
  w1: {layers: [web], address: a}
  d1: {layers: [db], address: b}
apps:
  shop: {layers: [web], source: {type: local, path: app}}
"""


@pytest.fixture
def shop(project):
    project.write("cookbooks/web/recipes/deploy.py", "def recipe(node):\n    pass\n")
    project.write("cookbooks/web/templates/a.j2", "one\n")
    for name, depends in (("proxy", "web"), ("db", "")):
        project.write(f"cookbooks/{name}/cookbook.yml", f"name: {name}\ndepends: [{depends}]\n")
        project.write(f"cookbooks/{name}/recipes/default.py", "def recipe(node):\n    pass\n")
    project.write("stacks/app/run.py", "print('one')\n")
    return project.write("stacks/shop.yml", STACK)


def save(project, stack, path, text):
    before = freeze(stack)
    saved = project.write(path, text)
    return difference(before, freeze(stack), [saved])


def test_a_template_means_the_recipes_of_its_cookbook_and_of_those_that_depend_on_it(project, shop):
    touched = save(project, shop, "cookbooks/web/templates/a.j2", "two\n")
    assert touched == Touched(cookbooks=frozenset({"web", "proxy"}))
    revision = freeze(shop)
    assert recipes_of(revision, "w1", "setup", touched) == ["web::default", "web::deploy"]
    assert recipes_of(revision, "w1", "configure", touched) == ["proxy::default"]
    assert recipes_of(revision, "d1", "setup", touched) == []


def test_a_file_of_an_app_means_its_deployment(project, shop):
    touched = save(project, shop, "stacks/app/run.py", "print('two')\n")
    assert touched == Touched(apps=frozenset({"shop"}))
    assert recipes_of(freeze(shop), "w1", "setup", touched) == ["web::deploy"]
    assert recipes_of(freeze(shop), "w1", "configure", touched) == []


def test_a_test_is_verified_and_nothing_runs(project, shop):
    touched = save(project, shop, "cookbooks/web/tests/test_web.py", "def test_more():\n    pass\n")
    assert touched.tests == {"web"} and not touched.anything


def test_the_definition_itself_means_everything(project, shop):
    touched = save(project, shop, "stacks/shop.yml", STACK + "attributes: {web: {port: 81}}\n")
    assert touched.everything
    assert recipes_of(freeze(shop), "d1", "setup", touched) == ["db::default"]


def test_a_save_of_an_editor_is_one_save(tmp_path: Path):
    saves = Saves()
    try:
        saves.watch([(tmp_path, True)])
        staged, target = tmp_path / ".motd.j2.swp", tmp_path / "motd.j2"
        staged.write_text("new\n")
        staged.rename(target)
        assert saves.wait(timeout=10) == {target}
    finally:
        saves.close()


@pytest.mark.parametrize("name", [".motd.j2.swp", "motd.j2~", "4913", "#motd.j2#", "__pycache__/a.py", "a.pyc"])
def test_files_that_editors_make_besides_are_no_saves(name: str):
    assert is_scratch(Path("/cookbooks/web/templates") / name)
    assert not is_scratch(Path("/cookbooks/web/templates/motd.j2"))
