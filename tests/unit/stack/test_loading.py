"""Reading: what words mean, where files are looked for, what is imported, and that nothing but StackError ever comes out."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cookline.control.stack.loading import Definition, load_stack, parse_stack
from cookline.control.stack.reading import collect
from cookline.control.stack.secrets import SecretReference
from cookline.errors import StackError

WORDS = [
    "stack",
    "layers",
    "web",
    "instances",
    "apps",
    "attributes",
    "recipes",
    "setup",
    "metrics",
    "cookbooks",
    "!secret env:A",
]
TOKENS = [
    *WORDS,
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&a ",
    "*a",
    "<<",
    "'",
    '"',
    "|",
    "\t",
    "#",
    "!!int ",
    "? ",
]
yamlish = st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(WORDS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*WORDS, "web1", "shop"]), inner, max_size=5)
    ),
    max_leaves=20,
)


def nothing_but_a_stack_error(text: str, directory: Path) -> None:
    try:
        parse_stack(text, directory=directory)
    except StackError as error:
        assert error.problems
        assert all(problem.startswith(("stack.yml:", "tests", "/")) for problem in error.problems[:50])


@given(yamlish)
@example("stack: \ud800")
@example('stack: "\\ud800"')
@example('apps: {a: {layers: [b], source: {path: "\\0"}}}')
@example("? &a\n: *a")
@example("&a <<: *a")
@example("<<: [[]]")
@example("stack: !!map x")
@example("a: 1" + "0" * 5000)
@example("a: 1e999")
@example("instances: {x: {port: 99999999999999999}}\n")
@example("%YAML 9.9\n---\na: b")
@example("%TAG ! tag:x,2000:\n---\n!a b: c")
@example("- " * 2000)
@example("{" * 2000)
@example("a: \u2028 b: c")
def test_no_text_gives_anything_but_a_stack_error(text: str) -> None:
    nothing_but_a_stack_error(text, Path("/nonexistent"))


@given(plain)
def test_no_data_gives_anything_but_a_stack_error(data: object) -> None:
    import yaml

    nothing_but_a_stack_error(yaml.safe_dump(data, allow_unicode=True), Path("/nonexistent"))


@given(st.text(max_size=60))
def test_no_characters_give_anything_but_a_stack_error(text: str) -> None:
    nothing_but_a_stack_error(text, Path("/nonexistent"))


@given(st.binary(max_size=60))
def test_no_bytes_give_anything_but_a_stack_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.yml"
    file.write_bytes(content)
    with pytest.raises(StackError):
        load_stack(file)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, ":1:1: cannot be read: No such file or directory"),
        (b"stack: shop\nlayers: {a: caf\xe9}\n", ":2:16: is not UTF-8: byte 0xe9 cannot stand here"),
        (b"stack: \xff\xfe", ":1:8: is not UTF-8"),
        (b"#" * (4 * 1024 * 1024 + 1), ":1:1: has more than 4194304 bytes"),
    ],
    ids=["missing", "latin1", "utf16", "huge"],
)
def test_a_file_that_is_no_text_is_told(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "stack.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StackError, match=sentence):
        load_stack(file)


def test_a_folder_and_a_fifo_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot be read: is not a file"):
        load_stack(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StackError, match="cannot be read: is not a file"):
        load_stack(tmp_path / "fifo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "stack.yml"
    file.write_text("stack: shop\n")
    file.chmod(0)
    with pytest.raises(StackError, match="Permission denied"):
        load_stack(file)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_bytes(b"\xef\xbb\xbfstack: shop\n")
    assert load_stack(tmp_path / "stack.yml").stack.name == "shop"


def test_words_mean_what_they_say() -> None:
    data = collect("a: [0644, 22:22, yes, on, 1_000, 2026-11-23, 1.5, -7, true, ~, null, '5', 1e5, 0x1F, .inf]\n", "f").data
    assert data["a"] == [
        *("0644", "22:22", "yes", "on", "1_000", "2026-11-23"),
        *(1.5, -7, True, None, None, "5", "1e5", "0x1F", ".inf"),
    ]


def test_anchors_and_merge_keys_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{x: 5}, *a]}\nd: *a\n"
    assert collect(text, "f").data == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 5, "y": 2},
        "d": {"x": 1, "y": 2},
    }


def test_a_secret_is_a_reference_in_value_position_only() -> None:
    document = collect("a: !secret env:TOKEN\nb: '!secret env:TOKEN'\n", "f")
    assert document.data == {"a": SecretReference("env", "TOKEN"), "b": "!secret env:TOKEN"}


def test_the_excerpt_points_at_the_mistake() -> None:
    with pytest.raises(StackError) as caught:
        parse_stack("stack: shop\nlayer: {}\n", file="shop.yml")
    assert str(caught.value) == ("shop.yml:2:1: unknown key 'layer'; did you mean 'layers'?\n     2 | layer: {}\n       | ^")


def test_an_excerpt_shows_no_control_character_and_is_cut() -> None:
    with pytest.raises(StackError) as caught:
        parse_stack(f"stack: {{{'x' * 300}: \u202e}}\n", file="shop.yml")
    assert "\u202e" not in str(caught.value)
    assert max(len(line) for line in str(caught.value).splitlines()[1:]) < 140


def test_many_mistakes_are_counted(load: Callable[..., Definition]) -> None:
    with pytest.raises(StackError) as caught:
        load("stack: s\n" + "".join(f"unknown{number}: 1\n" for number in range(70)))
    assert caught.value.problems[-1] == "and 20 more"


def test_cookbooks_of_the_project_hide_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "cookbooks/base/recipes").mkdir(parents=True)
    (tmp_path / "cookbooks/base/cookbook.yml").write_text("version: 9.9.9\n")
    (tmp_path / "stack.yml").write_text("stack: shop\n")
    definition = load_stack(tmp_path / "stack.yml")
    assert definition.cookbooks["base"].version == "9.9.9"
    assert "nginx" in definition.cookbooks


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "1:1: a cookbook.yml is a mapping"),
        ("name: other\n", "1:7: the cookbook's folder is 'mine'"),
        ("version: 1.0\n", "1:10: `version` wants text, not the number 1.0; write it in quotes"),
        ("version: one\n", "1:10: 'one' is no version"),
        ("depends: [bsae]\n", "1:11: cookbook 'bsae' is not on the search path; did you mean 'base'?"),
        ("attributes: {port: {type: int}}\n", "1:27: the text 'int' is not one of string, integer"),
        (
            "attributes: {port: {type: integer, default: x}}\n",
            "1:45: the default of 'port' wants a whole number, not the text 'x'",
        ),
        ("attributes: {port: {defualt: x}}\n", "1:21: unknown key 'defualt'; did you mean 'default'?"),
        ("attributes: {port: {required: true, default: 1}}\n", "has a default"),
        (
            "attributes: {tls: {type: string}, tls.key: {}}\n",
            "1:14: 'tls' is declared as string, and 'tls.key' lies inside of it",
        ),
        (
            "attributes: {tls: {default: 5}, tls.key: {default: 6}}\n",
            "1:14: 'tls' has a default, and 'tls.key' lies inside of it",
        ),
        ("attributes: {'..': {}}\n", "1:14: '..' is not an attribute's name"),
        ("a\tb: [", "is not YAML"),
        (None, "mine/cookbook.yml:1:1: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_cookbook_is_told_with_file_and_line(tmp_path: Path, text: str | None, sentence: str) -> None:
    folder = tmp_path / "cookbooks/mine"
    (folder / "recipes").mkdir(parents=True)
    if text is not None:
        (folder / "cookbook.yml").write_text(text)
    (tmp_path / "stack.yml").write_text("stack: shop\n")
    with pytest.raises(StackError) as caught:
        load_stack(tmp_path / "stack.yml")
    assert sentence in str(caught.value)
    assert "cookbook.yml" in caught.value.problems[0]


def test_loading_imports_no_more_than_it_needs() -> None:
    program = (
        "import sys; from pathlib import Path; from cookline.control.stack.revision import freeze;"
        f"freeze(Path({str(Path(__file__).parent / 'shop.yml')!r}));"
        "print(sorted({'boto3', 'botocore', 'paramiko', 'dbos', 'rich', 'typer', 'jinja2', 'fastapi'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"
