"""history, diff, revert and push --watch, as a user types them."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cookline.cli.session import Session, Terminal, enter
from cookline.cli.watched import watch_definitions
from cookline.control.store.store import Store
from cookline.errors import EXIT_OK, EXIT_USAGE
from tests.unit.cli.conftest import Run


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_diff_tells_values_and_lines(command: Run, project: Path) -> None:
    command("push", "shop.yml", "-m", "first")
    edit(project / "shop.yml", "shutdown_timeout: 30", "shutdown_timeout: 45")
    edit(project / "shop.yml", "  web1: {", "  web2: {layers: [web], address: 192.0.2.2}\n  web1: {")
    (project / "site/index.html").write_text("<p>two</p>\n")
    (project / "site/logo.png").write_bytes(b"\x89PNG\0\0")
    (project / "cookbooks/web/recipes/default.py").chmod(0o755)
    command("push", "shop.yml", "-m", "second\x1b[31m")

    code, out, errors = command("diff", "shop")
    assert (code, errors) == (EXIT_OK, "")
    assert "revision 1 -> 2" in out and "\x1b" not in out
    assert "  ~ layers.web.shutdown_timeout: 30.0 -> 45.0\n" in out
    assert "  + instances.web2: {layers: [web], address: 192.0.2.2}\n" in out
    assert "      -<p>one</p>\n      +<p>two</p>\n" in out
    assert "  + logo.png  (no text)\n" in out
    assert "  ~ recipes/default.py  mode 0644 -> 0755\n" in out

    found = json.loads(command("diff", "shop", "2", "1", "--json")[1])
    assert {(each["kind"], each["where"]) for each in found["values"]} == {
        ("changed", "layers.web.shutdown_timeout"),
        ("removed", "instances.web2"),
    }
    assert {(each["kind"], each["part"], each["path"]) for each in found["files"]} == {
        ("changed", "cookbook:web", "recipes/default.py"),
        ("changed", "app:shop", "index.html"),
        ("removed", "app:shop", "logo.png"),
    }


def test_diff_shows_the_reference_of_a_secret(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    edit(project / "shop.yml", "generated:token", "env:HOME")
    command("push", "shop.yml")
    assert "  ~ apps.shop.environment.TOKEN: !secret generated:token -> !secret env:HOME\n" in command("diff", "shop")[1]


def test_diff_with_what_a_push_would_make(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    assert "nothing differs" in command("diff", "shop", "--file", "shop.yml")[1]
    (project / "site/index.html").write_text("<p>two</p>\n")
    edit(project / "shop.yml", "shutdown_timeout: 30", "shutdown_timeout: 45")
    out = command("diff", "shop", "--file", "shop.yml")[1]
    assert "revision 1 -> shop.yml" in out
    assert "shutdown_timeout: 30.0 -> 45.0" in out and "+<p>two</p>" in out
    assert len(json.loads(command("history", "shop", "--json")[1])) == 1
    assert command("diff", "shop", "1", "1", "--file", "shop.yml")[0] == EXIT_USAGE


@pytest.mark.parametrize(
    ("state", "refused"), [("online", True), ("setup_failed", True), ("stopped", False), ("connection_lost", False)]
)
def test_a_push_abandons_no_host_that_is_up(command: Run, project: Path, state: str, refused: bool) -> None:
    command("push", "shop.yml")
    with Store(project / ".cookline") as store:
        [instance] = store.instances.all()
        store.instances.record(instance.id, state=state)
    edit(project / "shop.yml", "  web1: {layers: [web], address: 192.0.2.1}\n", "")
    code, _out, errors = command("push", "shop.yml")
    assert (code == EXIT_USAGE) == refused
    if refused:
        assert f"no longer has web1 ({state})" in errors and "cookline deregister web1 --stack shop" in errors
        assert command("push", "shop.yml", "--abandon")[0] == EXIT_OK


def test_the_first_revision_differs_from_nothing(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    assert "nothing differs" in command("diff", "shop")[1]


def test_revert_pushes_the_old_content_as_a_new_revision(command: Run, project: Path) -> None:
    command("push", "shop.yml", "-m", "first")
    (project / "site/index.html").write_text("<p>two</p>\n")
    command("push", "shop.yml", "-m", "second")
    code, out, errors = command("revert", "shop", "1", "-m", "it was better")
    assert (code, errors) == (EXIT_OK, "")
    assert "shop: revision 3" in out and "still says something else" in out
    assert "nothing differs" in command("diff", "shop", "1", "3")[1]
    listed = json.loads(command("history", "shop", "--json")[1])
    assert [(each["revision"], each["message"]) for each in listed] == [
        (3, "back to revision 1: it was better"),
        (2, "second"),
        (1, "first"),
    ]
    assert listed[0]["hash"] == listed[2]["hash"]
    assert "unchanged: revision 3" in command("revert", "shop", "3")[1]


def test_a_revision_that_lost_its_contents_is_not_pushed_again(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    for blob in (project / ".cookline/blobs").iterdir():
        blob.unlink()
    code, _out, errors = command("revert", "shop", "1")
    assert code == 1
    assert "of its contents are no longer kept" in errors


@pytest.mark.parametrize("arguments", [("diff", "shop", "1", "9"), ("revert", "shop", "9"), ("history", "shpo")])
def test_what_was_never_pushed_is_named(command: Run, project: Path, arguments: tuple[str, ...]) -> None:
    command("push", "shop.yml")
    code, _out, errors = command(*arguments)
    assert code == EXIT_USAGE
    assert "cookline history shop" in errors or "did you mean 'shop'?" in errors


Watch = Callable[..., "queue.Queue[str]"]


@pytest.fixture
def watch(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Begins `push --watch` on the project; everything that it says comes out of the queue."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("COOKLINE_DIRECTORY", raising=False)
    stop = threading.Event()
    said: queue.Queue[str] = queue.Queue()

    def go() -> None:
        mine = Session(Terminal(said.put, said.put, 120, False))
        enter(mine)
        watch_definitions(project, "", as_json=False, stop=stop)
        mine.close()

    thread = threading.Thread(target=go)

    def begin() -> "queue.Queue[str]":
        thread.start()
        while not said.get(timeout=30).startswith("watching"):
            pass
        return said

    yield begin
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_watched_folder_is_pushed_when_it_changes(command: Run, project: Path, watch: Watch) -> None:
    (project / "other.yml").write_text("nothing: here\n")
    said = watch()
    (project / "site/index.html").write_text("<p>two</p>\n")
    assert said.get(timeout=30).startswith("shop: revision 2")
    edit(project / "shop.yml", "web1: {layers: [web]", "web1: {layers: [wbe]")
    assert "there is no layer 'wbe'; did you mean 'web'?" in said.get(timeout=30)
    edit(project / "shop.yml", "wbe", "web")
    (project / "blog.yml").write_text("stack: blog\n")
    assert said.get(timeout=30).startswith("blog: revision 1")
    assert said.empty()
    assert [each["message"] for each in json.loads(command("history", "shop", "--json")[1])] == ["shop.yml changed"] * 2


def test_a_watched_checkout_gives_author_and_message(command: Run, project: Path, watch: Watch) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.net"]
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)

    (project / ".gitignore").write_text(".cookline\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Open the shop")
    watch()
    [first] = json.loads(command("history", "shop", "--json")[1])
    assert first["author"] == "Ann <ann@example.net>"
    assert first["message"].endswith(" Open the shop")


def test_watch_wants_a_folder(command: Run, project: Path) -> None:
    assert command("push", "shop.yml", "--watch")[0] == EXIT_USAGE
    assert command("push", ".", "--watch", "--check")[0] == EXIT_USAGE


def test_a_push_that_moves_a_host_names_what_tells_the_others(command: Run, project: Path) -> None:
    command("push", "shop.yml")
    with Store(project / ".cookline") as store:
        [web1] = store.instances.of(store.revisions.stack_id("shop"))
        store.instances.record(web1.id, state="online", host={"address": "192.0.2.1"})
    edit(project / "shop.yml", "192.0.2.1", "192.0.2.9")
    code, out, _ = command("push", "shop.yml")
    assert code == EXIT_OK
    assert "web1 has another address: cookline configure shop tells the others" in out
