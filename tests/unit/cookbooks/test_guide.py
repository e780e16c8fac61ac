"""docs/cookbooks.md is true: its cookbook is put together out of the page and runs."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from cookline.kitchen import converge

TEXT = (Path(__file__).parents[3] / "docs" / "cookbooks.md").read_text()
BLOCKS = [textwrap.dedent(block).strip("\n") + "\n" for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", TEXT, re.MULTILINE)]


def block(beginning: str) -> str:
    return next(each for each in BLOCKS if each.startswith(beginning))


@pytest.fixture
def cookbooks(tmp_path: Path) -> Path:
    recipe = block("from cookline import Node, Package")
    own, used = block("# cookbooks/web/resources/feature.py").split("# cookbooks/web/recipes/default.py\n")
    feature = f"{used}\ndef recipe(node):\n    node.ensure(Feature('chat'))\n"
    files = {
        "cookbook.yml": block("# cookbook.yml").replace("depends: [base]\n", ""),
        "recipes/default.py": recipe,
        "recipes/chat.py": feature,
        "resources/feature.py": own,
        "templates/web.conf.j2": "listen {{ port }};\n",
    }
    for name, text in files.items():
        path = tmp_path / "cookbooks" / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "cookbooks"


def test_the_recipe_of_the_guide_runs(cookbooks: Path) -> None:
    run = converge("web", cookbooks=cookbooks, attributes={"web": {"port": 8081}})
    assert run.resources == ["Package[nginx]", "Template[/etc/nginx/conf.d/web.conf]", "Service[nginx]"]
    assert run.file("/etc/nginx/conf.d/web.conf") == "listen 8081;\n"
    assert run.owed == ["Reload[nginx]"]
    assert run.logs == ["the site listens elsewhere now"]


def test_the_kind_of_the_guide_is_one(cookbooks: Path) -> None:
    made = converge("web::chat", cookbooks=cookbooks)
    assert made.changed == ["Feature[chat]"]
    assert converge("web::chat", cookbooks=cookbooks, host=made.host).changed == []
