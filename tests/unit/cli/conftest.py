from collections.abc import Callable
from pathlib import Path

import pytest

from cookline.cli.app import run_command
from cookline.cli.session import Session, Terminal

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty directory; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COOKLINE_DIRECTORY", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        out: list[str] = []
        errors: list[str] = []
        code = run_command(list(arguments), Session(Terminal(out.append, errors.append, 120, False)))
        return code, "".join(out), "".join(errors)

    return run


STACK = """\
stack: shop
layers:
  web: {recipes: {setup: [web]}, shutdown_timeout: 30}
instances:
  web1: {layers: [web], address: 192.0.2.1}
apps:
  shop: {layers: [web], source: {path: site}, environment: {TOKEN: !secret generated:token}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a stack `shop` in shop.yml, a cookbook `web` and the app's source in `site`."""
    recipes = tmp_path / "cookbooks/web/recipes"
    recipes.mkdir(parents=True)
    (tmp_path / "cookbooks/web/cookbook.yml").write_text("name: web\nversion: 1.0.0\n")
    (recipes / "default.py").write_text("def recipe(node):\n    pass\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<p>one</p>\n")
    (tmp_path / "shop.yml").write_text(STACK)
    return tmp_path
