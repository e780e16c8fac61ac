"""The reference in docs/ is what the command prints, and the command prints every public kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cookline
from cookline.host.resources.base import Action
from cookline.kitchen import reference

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]


def test_the_reference_in_docs_is_the_one_of_the_code() -> None:
    assert (ROOT / "docs" / "resources.md").read_text() == reference.reference(), (
        "write it anew: cookline docs resources > docs/resources.md"
    )


def test_every_public_kind_has_a_page_with_its_fields_and_an_example() -> None:
    names = {each.__name__ for each in reference.kinds()}
    assert {"File", "Package", "Service", "Restart", "Run"} <= names <= set(cookline.EXPORTS)
    for kind in reference.kinds():
        page = reference.page(kind)
        assert f"## {kind.__name__}" in page and "```python" in page, kind
        assert issubclass(kind, Action) or re.search(r"^\*\*Undo\.\*\* \S", page, re.MULTILINE), f"what undo does of {kind}"
        assert not re.search(r"^\| .*\b(Owner|Words|Time)\b", page, re.MULTILINE), "names of types that only the code knows"


def test_a_page_has_the_fields_that_authors_give_and_no_others() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", reference.page(cookline.Template), re.MULTILINE))
    assert rows == {"path", "source", "values", "mode", "owner", "group", "verify", "backup", "create_if_missing", "exists"}
    assert "four octal digits" in reference.page(cookline.Template)
    for kind, field in (
        ("AptRepository", "key"),
        ("User", "password_hash"),
        ("EnvironmentVariable", "value"),
        ("Git", "deploy_key"),
    ):
        assert f"| `{field}` |" in reference.page(getattr(cookline, kind)), field
    assert "`commit`" not in reference.page(cookline.Git).partition("| field |")[2]


def test_a_kind_that_is_not_there_is_named_with_the_nearest(command: Run) -> None:
    code, _, errors = command("docs", "resources", "Fiel")
    assert code == 2 and "did you mean 'File'" in errors
