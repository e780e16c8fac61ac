"""References stay references until they are resolved; what was resolved is known for masking; mistakes never show a value."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cookline.control.stack.secret_resolver import Resolver
from cookline.control.stack.secrets import SecretReference, from_plain, references, to_plain
from cookline.errors import StackError


def reference(text: str) -> SecretReference:
    return SecretReference.parse(text)


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    return Resolver(tmp_path / ".cookline", base=tmp_path, environ={"TOKEN": "abcdef123", "SHORT": "12345"})


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_references_are_replaced_wherever_they_stand(resolver: Resolver) -> None:
    value = {"a": [1, {"b": reference("env:TOKEN")}], "c": "text"}
    assert resolver.resolve(value) == {"a": [1, {"b": "abcdef123"}], "c": "text"}
    assert value["a"][1]["b"] == reference("env:TOKEN")  # type: ignore[index]
    assert resolver.values == ["abcdef123"]


def test_a_generated_secret_is_made_once_and_kept_private(resolver: Resolver, tmp_path: Path) -> None:
    first = resolver.resolve(reference("generated:shop-token"))
    assert len(first) == 32
    again = Resolver(tmp_path / ".cookline").resolve(reference("generated:shop-token"))
    other = resolver.resolve(reference("generated:other"))
    assert first == again != other
    file = tmp_path / ".cookline/secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_two_commands_at_once_generate_one_value(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cookline.control.stack.secrets import *;"
        "print(Resolver(Path(sys.argv[1])).resolve(SecretReference('generated', 'x')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, str(tmp_path / ".cookline")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1


def test_a_damaged_file_of_generated_secrets_is_never_overwritten(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / ".cookline").mkdir()
    private(tmp_path / ".cookline/secrets.json", "{broken")
    with pytest.raises(StackError, match="cannot be read as JSON"):
        resolver.resolve(reference("generated:x"))
    assert (tmp_path / ".cookline/secrets.json").read_text() == "{broken"


def test_a_file_gives_its_content_or_one_of_its_keys(resolver: Resolver, tmp_path: Path) -> None:
    private(tmp_path / "token", "the token\n")
    private(tmp_path / "all.yml", "db: {password: hunter22}\n'no': 5\n")
    private(tmp_path / "all.json", json.dumps({"key": "line one\nline two"}))
    assert resolver.resolve(reference("file:token")) == "the token"
    assert resolver.resolve(reference("file:all.yml#db.password")) == "hunter22"
    assert resolver.resolve(reference("file:all.json#key")) == "line one\nline two"
    assert resolver.values[0] == "line one\nline two"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("env:SHORT", "!secret env:SHORT has 5 characters; a secret needs at least 6"),
        ("env:TOKNE", "the environment has no TOKNE; did you mean 'TOKEN'?"),
        ("file:missing", "No such file or directory"),
        ("file:open", "others may read"),
        ("file:folder", "is not a file"),
        ("file:latin1", "the file is not UTF-8 text"),
        ("file:all.yml#db.pasword", "the file has no key 'pasword'; did you mean 'password'?"),
        ("file:all.yml#number", "the value is not text"),
        ("file:broken.yml#a", "broken.yml:2:1: is not YAML"),
    ],
)
def test_what_cannot_be_resolved_is_told_without_the_value(
    resolver: Resolver, tmp_path: Path, text: str, sentence: str
) -> None:
    private(tmp_path / "open", "readable!").chmod(0o644)
    (tmp_path / "folder").mkdir()
    private(tmp_path / "latin1", "").write_bytes(b"caf\xe9caf\xe9")
    private(tmp_path / "all.yml", "db: {password: hunter22}\nnumber: 12345678\n")
    private(tmp_path / "broken.yml", "a: [hunter22\n")
    with pytest.raises(StackError) as caught:
        resolver.resolve(reference(text))
    assert sentence in str(caught.value)
    assert not any(value in str(caught.value) for value in ("12345678", "hunter22", "readable!"))


@pytest.mark.parametrize("text", ["env:A_B", "file:a b/c.yml#x.y", "generated:shop-token", "age:s.age#k", "file:~/x"])
def test_a_reference_is_read_back_from_its_own_text(text: str) -> None:
    assert str(reference(text)) == text
    assert from_plain(json.loads(json.dumps(to_plain({"k": [reference(text)]})))) == {"k": [reference(text)]}
    assert references({"k": [reference(text)], "again": reference(text)}) == [reference(text)]
