"""Editing a line: examples, and laws that hold for every text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookline.host.resources.line_in_file import LineInFile, edited


def edit(text: str, line: str = "", **fields: object) -> str:
    return edited(text, LineInFile("/file", line, **fields))


@pytest.mark.parametrize(
    ("text", "line", "fields", "result"),
    [
        ("", "a", {}, "a\n"),
        ("x", "a", {}, "x\na\n"),
        ("a\nx\n", "a", {}, "a\nx\n"),
        ("#p 1\nx\np 2\n", "p 3", {"match": "^#?p "}, "x\np 3\n"),
        ("p 3\nx\np 2\n", "p 3", {"match": "^p "}, "p 3\nx\n"),
        ("x\ny\nx\n", "a", {"after": "^x"}, "x\ny\nx\na\n"),
        ("x\ny\n", "a", {"after": "^x"}, "x\na\ny\n"),
        ("x\ny\n", "a", {"after": "^z"}, "x\ny\na\n"),
        ("a\nx\na\n", "a", {"exists": False}, "x\n"),
        ("a", "a", {"exists": False}, ""),
        ("p 1\nx\np 2", "", {"exists": False, "match": "^p "}, "x"),
        ("a\r\n", "a", {}, "a\r\na\n"),
    ],
)
def test_examples(text: str, line: str, fields: dict[str, object], result: str) -> None:
    assert edit(text, line, **fields) == result


LINES = st.text(alphabet="ab# =\r\udcff", min_size=1, max_size=6)
TEXTS = st.builds(
    lambda lines, end: "\n".join(lines) + end, st.lists(st.text(alphabet="ab# =", max_size=6)), st.sampled_from(["", "\n"])
)
PATTERNS = st.sampled_from([None, "^a", "#", "^#?a", "=$", "^$"])


@given(TEXTS, LINES.filter(lambda line: "\r" not in line), PATTERNS, PATTERNS, st.booleans())
def test_laws(text: str, line: str, match: str | None, after: str | None, exists: bool) -> None:
    wanted = LineInFile("/file", line, match=match, after=after, exists=exists)
    once = edited(text, wanted)
    assert edited(once, wanted) == once, "editing twice is editing once"
    if exists:
        assert line in once.split("\n")
    elif match is None:
        assert line not in once.split("\n")
    kept = [each for each in text.split("\n") if each != line]
    if match is None:
        assert [each for each in once.split("\n") if each not in (line, "")] == [each for each in kept if each]
