"""clone, and definitions written as YAML."""

import json
from pathlib import Path

import pytest

from cookline.control.stack.loading import load_stack
from cookline.control.stack.models import Instance
from cookline.control.stack.writing import add_instance, instance_line, stack_text
from cookline.errors import EXIT_OK, EXIT_USAGE, UsageError
from tests.unit.cli.conftest import Run


def test_a_clone_has_everything_but_instances(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    code, out, errors = command("clone", "shop", "green", "--file", "green.yml")
    assert (code, errors) == (EXIT_OK, "")
    assert "green: revision 1, 0 instances" in out
    old, new = load_stack(project / "shop.yml").stack, load_stack(project / "green.yml").stack
    assert (new.name, new.instances, new.layers, new.apps) == ("green", {}, old.layers, old.apps)
    status = json.loads(command("status", "green", "--json")[1])
    assert status["instances"] == []
    # the file says what was pushed
    assert "unchanged" in command("push", "green.yml")[1]


def test_a_clone_without_apps(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    command("clone", "shop", "green", "--no-apps")
    assert json.loads(command("app", "green", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("shpo", "green"), "did you mean 'shop'?"),
        (("shop", "shop"), "there is a stack 'shop' already"),
        (("shop", "-green"), ""),
        (("shop", "gr een"), "is not a name"),
        (("shop", "green", "--file", "shop.yml"), "File exists"),
    ],
)
def test_what_cannot_be_cloned(command: Run, project: Path, arguments: tuple[str, ...], sentence: str) -> None:
    command("push", "shop.yml")
    code, _out, errors = command("clone", *arguments)
    assert code == EXIT_USAGE
    assert sentence in errors


ODD = """\
stack: odd
attributes:
  web:
    yes_word: "yes"
    quoted: "true"
    number: "0644"
    colon: "a: b # c"
    empty: ""
    lines: "one\\ntwo"
    umlaut: "Grüße ✓"
    flag: true
    ratio: 0.5
    many: [1, "2", {a: b}]
    secret: !secret file:keys.yml#a.b
layers: {web: {drift: {interval: 5m}}}
"""


def test_every_value_survives_being_written(tmp_path: Path) -> None:
    recipes = tmp_path / "cookbooks/web/recipes"
    recipes.mkdir(parents=True)
    (tmp_path / "cookbooks/web/cookbook.yml").write_text("name: web\nversion: 1.0.0\n")
    (tmp_path / "odd.yml").write_text(ODD)
    before = load_stack(tmp_path / "odd.yml").stack
    (tmp_path / "again.yml").write_text(stack_text(before))
    assert load_stack(tmp_path / "again.yml").stack == before


NEW = Instance(layers=("app",), address="192.0.2.9", user="ops")  # type: ignore[call-arg]
LINE = instance_line("new1", NEW)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stack: s\n", f"stack: s\ninstances:\n  {LINE}\n"),
        ("stack: s", f"stack: s\ninstances:\n  {LINE}\n"),
        ("instances:\nstack: s\n", f"instances:\n  {LINE}\nstack: s\n"),
        (
            "stack: s\ninstances:\n    a: {layers: [app]}\n    b:\n      layers: [app]\n\n# apps\napps: {}\n",
            f"stack: s\ninstances:\n    a: {{layers: [app]}}\n    b:\n      layers: [app]\n    {LINE}\n\n# apps\napps: {{}}\n",
        ),
        ("instances:\n  a: {layers: [app]}  # the first", f"instances:\n  a: {{layers: [app]}}  # the first\n  {LINE}\n"),
    ],
)
def test_an_instance_is_put_behind_the_last_one(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "s.yml"
    file.write_text(before)
    add_instance(file, "new1", NEW)
    assert file.read_text() == after


@pytest.mark.parametrize("text", ["instances: {a: {layers: [app]}}\n", "instances: {}\n", "instances: &x\n  <<: {}\n  a: !b\n"])
def test_a_file_without_a_place_stays_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.yml"
    file.write_text(text)
    with pytest.raises(UsageError, match="has no place"):
        add_instance(file, "new1", NEW)
    assert file.read_text() == text
