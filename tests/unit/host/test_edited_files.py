"""Editing a block and an INI setting: examples, and laws that hold for every text."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cookline.errors import ResourceError
from cookline.host import mounts
from cookline.host.resources.block_in_file import BlockInFile
from cookline.host.resources.edited_file import EditedFile
from cookline.host.resources.ini_setting import IniSetting
from cookline.host.resources.line_in_file import LineInFile

BEGIN, END = "# BEGIN cookline", "# END cookline"


@pytest.mark.parametrize(
    ("text", "block", "fields", "result"),
    [
        ("", "a", {}, f"{BEGIN}\na\n{END}\n"),
        ("x", "a\n", {}, f"x\n{BEGIN}\na\n{END}\n"),
        ("x\ny\n", "a", {"after": "^x"}, f"x\n{BEGIN}\na\n{END}\ny\n"),
        ("x\ny\n", "a", {"before": "^y"}, f"x\n{BEGIN}\na\n{END}\ny\n"),
        ("x\n", "a", {"before": "^z"}, f"x\n{BEGIN}\na\n{END}\n"),
        (f"x\n{BEGIN}\nb\nc\n{END}\ny\n", "a", {}, f"x\n{BEGIN}\na\n{END}\ny\n"),
        (f"x\n{BEGIN}\nb\n{END}\ny", "", {"exists": False}, "x\ny"),
        ("", "a", {"comment": ("<!--", "-->"), "marker": "m"}, "<!-- BEGIN m -->\na\n<!-- END m -->\n"),
    ],
)
def test_blocks(text: str, block: str, fields: dict[str, object], result: str) -> None:
    assert BlockInFile("/file", block, **fields).edited(text) == result


@pytest.mark.parametrize("text", [f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_damaged_markers_are_not_guessed(text: str) -> None:
    with pytest.raises(ResourceError, match="one of each, in this order"):
        BlockInFile("/file", "a").edited(text)


@pytest.mark.parametrize(
    ("resource", "before", "after"),
    [
        (LineInFile("/file", "b=2", match="^b="), b"a=1\r\nb=1\r\n", b"a=1\r\nb=2\r\n"),
        (LineInFile("/file", "b=1"), b"a=1\r\nb=1", b"a=1\r\nb=1"),
        (LineInFile("/file", "b=1"), b"a=1\r\nb=1\n", b"a=1\r\nb=1\n"),
        (BlockInFile("/file", "b\nc"), b"a\r\n", b"a\r\n# BEGIN cookline\r\nb\r\nc\r\n# END cookline\r\n"),
        (IniSetting("/file", "s", "k", 1), b"[s]\r\nj=1\r\n", b"[s]\r\nj=1\r\nk = 1\r\n"),
    ],
)
def test_lines_end_as_those_beside_them(resource: EditedFile, before: bytes, after: bytes) -> None:
    assert resource.edited_bytes(before) == after
    assert resource.edited_bytes(after) == after


LINES = st.lists(st.text(alphabet="ab# =;[]\t", max_size=6), max_size=6)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@settings(max_examples=60)
@given(TEXTS, st.text(alphabet="ab#\n", max_size=6), st.sampled_from([None, "^a", "#"]))
def test_laws_of_blocks(text: str, block: str, after: str | None) -> None:
    wanted = BlockInFile("/file", block, after=after)
    once = wanted.edited(text)
    assert wanted.edited(once) == once, "editing twice is editing once"
    assert wanted.found(once) == wanted.block
    assert wanted.replace(exists=False).edited(once).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("", "1", "[s]\nk = 1\n"),
        ("x = 2", "1", "x = 2\n\n[s]\nk = 1\n"),
        ("[s]\n", "1", "[s]\nk = 1\n"),
        ("[s]\nx=1\n\n[t]\nk=2\n", "1", "[s]\nx=1\nk = 1\n\n[t]\nk=2\n"),
        ("[s]\n#k = 5\nx=1\n", "1", "[s]\n#k = 5\nk = 1\nx=1\n"),
        ("[s]\n\tk=2\n", "1", "[s]\n\tk=1\n"),
        ("[ s ] ; why\nk = 2 # old\r\n", "1", "[ s ] ; why\nk = 1 # old\r\n"),
        ("[s]\nk = # empty\n", "1", "[s]\nk = 1 # empty\n"),
        ("[s]\nk = 2\nx = 1\nk = 3\n", "1", "[s]\nx = 1\nk = 1\n"),
        ("[s]\nk = a#b\n", "a#b", "[s]\nk = a#b\n"),
        ("[s]\nk = a #b\n", "c #d", "[s]\nk = c #d\n"),
        ("[s]\nkk = 2\nK = 3\n", "1", "[s]\nkk = 2\nK = 3\nk = 1\n"),
        ("[s]\nk = 2\n", "", "[s]\nk = \n"),
    ],
)
def test_settings(text: str, value: str, result: str) -> None:
    assert IniSetting("/file", "s", "k", value).edited(text) == result


def test_settings_before_the_first_section() -> None:
    assert IniSetting("/file", "", "k", 1).edited("# top\n[s]\nk = 2\n") == "# top\nk = 1\n[s]\nk = 2\n"
    assert IniSetting("/file", "", "k", exists=False).edited("k = 1\n[s]\nk = 2\n") == "[s]\nk = 2\n"


@settings(max_examples=100)
@given(
    TEXTS,
    st.sampled_from(["", "a", "b"]),
    st.text(alphabet="ab", min_size=1, max_size=2),
    st.text(alphabet="ab#= ", max_size=5),
)
def test_laws_of_settings(text: str, section: str, key: str, value: str) -> None:
    assume(value == value.strip())
    wanted = IniSetting("/file", section, key, value)
    once = wanted.edited(text)
    assert wanted.edited(once) == once, "editing twice is editing once"
    assert wanted.found(once) == value
    lines = once.split("\n")
    lost = [line for line in text.split("\n") if line.strip() and line not in lines]
    assert all(line.split("=")[0].strip() == key for line in lost), "other lines are untouched"
    gone = wanted.replace(exists=False, value=None)
    assert gone.found(gone.edited(once)) is None


def test_another_reader_sees_the_same() -> None:
    text = IniSetting("/file", "s", "k", "v w").edited("[t]\nk = 1\n\n[s]\nx = 2\n")
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert parser["s"]["k"] == "v w" and parser["t"]["k"] == "1" and parser["s"]["x"] == "2"


def test_fstab_keeps_what_is_not_the_entry() -> None:
    lines = ["# top", "proc /proc proc", "UUID=1  /my\\040data ext4 defaults 0 2", "", "/swap none swap sw", ""]
    assert mounts.entry(lines, 1, "/my data") == "UUID=1 /my\\040data ext4 defaults 0 2"
    assert mounts.entry(lines, 0, "/nothing") is None
    assert mounts.edited(lines, 1, "/my data", "new") == [*lines[:2], "new", *lines[3:]]
    assert mounts.edited(lines, 1, "/my data", None) == [*lines[:2], *lines[3:]]
    assert mounts.edited(lines, 1, "/other", "new") == [*lines[:-1], "new", ""]
    assert mounts.edited(["a b c"], 1, "/other", "new") == ["a b c", "new", ""]
    assert mounts.edited([""], 1, "/other", "new") == ["new", ""]


def test_mounts_are_read_with_spaces_in_their_names() -> None:
    text = "36 35 98:0 / /my\\040data rw,noatime shared:1 master:2 - ext4 /dev/root rw\nbad line\n"
    assert mounts.parse(text) == [mounts.Mounted("/my data", "rw,noatime", "ext4", "/dev/root")]
