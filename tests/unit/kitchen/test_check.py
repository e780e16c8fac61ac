"""`cookline check`: all mistakes of all layers at once, and none in what ships."""

from __future__ import annotations

from cookline.control.stack.cookbooks import packaged_stacks
from cookline.control.stack.kitchens import PLATFORMS
from cookline.kitchen.check import check_stack

STACK = """
stack: shop
cookbooks: [../cookbooks]
layers:
  front: {recipes: {setup: [web, web::broken], configure: [web::other]}}
  back: {recipes: {setup: [web]}, attributes: {web: {port: !secret "env:NOT_SET_ANYWHERE"}}}
instances:
  f1: {layers: [front], address: a}
  f2: {layers: [front], address: b}
"""


def test_the_shop_that_ships_has_no_problems_on_any_platform():
    report = check_stack(packaged_stacks() / "shop.yml", PLATFORMS)
    assert report.found == {}
    assert report.ran["app", "setup"] > 4 and report.ran["database", "configure"] == 2


def test_every_mistake_is_found_once_with_the_author_s_line(project):
    project.write("cookbooks/web/cookbook.yml", "name: web\n")
    project.write(
        "cookbooks/web/recipes/default.py", "from cookline import File\n\n\ndef recipe(node):\n    node.log('hello')\n"
    )
    project.write(
        "cookbooks/web/recipes/broken.py", "from cookline import File\n\n\ndef recipe(node):\n    File('/a', own='root')\n"
    )
    project.write(
        "cookbooks/web/recipes/other.py",
        "from cookline import File\n\n\ndef recipe(node):\n    node.stack.instances(layer='frnt')\n",
    )
    report = check_stack(project.write("stacks/shop.yml", STACK), PLATFORMS)
    broken, other = report.found
    assert "File has no field 'own'; did you mean 'owner'?" in broken and "cookbooks/web/recipes/broken.py:5" in broken
    assert "has no layer 'frnt'; did you mean 'front'?" in other
    assert [place.partition(",")[0] for place in report.found[broken].places] == [f"front on {name}" for name in PLATFORMS]


def test_a_recipe_that_no_layer_runs_is_run_by_itself(project):
    project.write(
        "cookbooks/web/recipes/backup.py", "from cookline import File\n\n\ndef recipe(node):\n    File('/a', own='root')\n"
    )
    stack = "stack: shop\ncookbooks: [../cookbooks]\nlayers: {front: {recipes: {setup: [web]}}}\ninstances: {}\n"
    report = check_stack(project.write("stacks/shop.yml", stack), ["debian-12"])
    [found] = report.found.values()
    assert "File has no field 'own'" in found.error and found.places == ["web::backup on debian-12, which no layer runs"]


def test_a_recipe_that_another_includes_is_not_run_again(project):
    project.write("cookbooks/web/recipes/default.py", "def recipe(node):\n    node.include('web::users')\n")
    project.write(
        "cookbooks/web/recipes/users.py", "from cookline import User\n\n\ndef recipe(node):\n    node.ensure(User('ann'))\n"
    )
    stack = "stack: shop\ncookbooks: [../cookbooks]\nlayers: {front: {recipes: {setup: [web]}}}\ninstances: {}\n"
    report = check_stack(project.write("stacks/shop.yml", stack), ["debian-12"])
    assert report.found == {} and {key for key, count in report.ran.items() if count} == {("front", "setup")}
