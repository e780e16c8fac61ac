"""What ships with cookline: the shop stack and every cookbook, as their authors would want them checked."""

import importlib
import inspect
from pathlib import Path

import pytest

from cookline.control.stack.cookbooks import packaged_cookbooks, packaged_stacks
from cookline.control.stack.kitchen_checks import load_kitchen
from cookline.control.stack.kitchens import PLATFORMS
from cookline.control.stack.loading import load_stack
from cookline.control.stack.run_list import run_list

SHOP = load_stack(packaged_stacks() / "shop.yml")
RECIPES = [
    pytest.param(book.name, recipe, id=f"{book.name}::{recipe}") for book in SHOP.cookbooks.values() for recipe in book.recipes
]


def test_setup_brings_the_recipes_of_setup_and_then_of_deploy() -> None:
    assert run_list(SHOP.stack, "app1", "setup") == ["base::default", "app::default", "app::deploy"]
    assert run_list(SHOP.stack, "db1", "setup") == ["base::default", "postgres::default", "app::schema"]


def test_everybody_learns_of_everybody_at_configure() -> None:
    for name in SHOP.stack.instances:
        assert "base::hosts" in run_list(SHOP.stack, name, "configure")


def test_the_shop_and_its_database_have_the_same_secret() -> None:
    database = SHOP.stack.layers["database"].attributes["postgres"]["databases"]["shop"]
    assert database["password"] == SHOP.stack.apps["shop"].environment["PGPASSWORD"]


@pytest.mark.parametrize(("cookbook", "recipe"), RECIPES)
def test_a_recipe_is_a_typed_function_with_its_purpose(cookbook: str, recipe: str) -> None:
    module = importlib.import_module(f"cookbooks.{cookbook}.recipes.{recipe}")
    assert inspect.get_annotations(module.recipe)["return"] is None
    assert (module.__doc__ or "").startswith(cookbook if recipe == "default" else f"{cookbook}::{recipe}")


@pytest.mark.parametrize("cookbook", sorted(SHOP.cookbooks))
def test_a_cookbook_has_tests_and_explains_its_attributes(cookbook: str) -> None:
    folder: Path = packaged_cookbooks() / cookbook
    assert list(folder.glob("tests/test_*.py"))
    assert all(declared.doc for declared in SHOP.cookbooks[cookbook].attributes.values())


@pytest.mark.parametrize("cookbook", sorted(SHOP.cookbooks))
def test_a_cookbook_has_a_suite_on_each_platform(cookbook: str) -> None:
    kitchen = load_kitchen(packaged_cookbooks() / cookbook / "kitchen.yml")
    assert {platform for _, platform in kitchen.pairs()} == set(PLATFORMS)
