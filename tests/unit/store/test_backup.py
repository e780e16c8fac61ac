"""A backup is whole, private and consistent, also while somebody writes."""

from __future__ import annotations

import contextlib
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cookline.control.store import backup
from cookline.control.store.identifiers import new_identifier
from cookline.control.store.runs import CommandRecord, new_run
from cookline.control.store.store import Store
from cookline.errors import CooklineError, UsageError


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "project/.cookline") as opened:
        pushed = opened.revisions.push("shop", {"n": 1}, "hash-1", author="ann")
        opened.instances.declare(pushed.stack_id, {"app1": (("app",), "static")})
        opened.blobs.put(b"a file of a cookbook")
        (opened.directory / "secrets.json").write_text('{"token": "canary-canary"}')
        yield opened


def work(store: Store) -> str:
    """One command with its run and report; the run's id."""
    stack = store.revisions.stack_id("shop")
    [app1] = store.instances.of(stack)
    command = CommandRecord(new_identifier(), stack, "configure", 1, {}, "ann", time.time())
    run = new_run(command.id, app1.id, "app1", 0, "configure")
    with store.database.transaction():
        store.runs.add_command(command)
        store.runs.add([run])
    with store.reports.open(run.id) as report:
        report.add({"seq": 1, "kind": "run_started"})
    return run.id


def restored(file: Path, directory: Path) -> Store:
    """As the documentation says: by tar."""
    directory.mkdir(mode=0o700)
    subprocess.run(["tar", "-xf", file, "-C", directory], check=True)
    return Store(directory)


def test_everything_comes_back_in_another_store_of_its_own(store: Store, tmp_path: Path) -> None:
    run = work(store)
    file = tmp_path / "monday.tar"
    assert backup.write(store.directory, file) == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with restored(file, tmp_path / "other") as copy:
        assert copy.id != store.id, "hosts tell the two apart"
        assert copy.revisions.get("shop").content == {"n": 1}
        assert copy.runs.run(run).event == "configure"
        assert [event["kind"] for event in copy.reports.events(run)] == ["run_started"]
        assert copy.blobs.directory.exists() and "canary" in (copy.directory / "secrets.json").read_text()
        work(copy)
    work(store)


def test_a_copy_that_is_made_while_somebody_writes_is_consistent(store: Store, tmp_path: Path) -> None:
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            work(store)
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        written.wait(10)
        files = [tmp_path / f"{number}.tar" for number in range(5)]
        for file in files:
            backup.write(store.directory, file)
    finally:
        stop.set()
        writer.join()
    for number, file in enumerate(files):
        with restored(file, tmp_path / f"copy-{number}") as copy:
            assert copy.database.rows("PRAGMA integrity_check")[0][0] == "ok"
            commands = copy.runs.unfinished()
            assert commands and all(len(copy.runs.of_command(each.id)) == 1 for each in commands)


def test_no_backup_replaces_another(store: Store, tmp_path: Path) -> None:
    (tmp_path / "monday.tar").write_text("precious")
    with pytest.raises(UsageError, match="there already"):
        backup.write(store.directory, tmp_path / "monday.tar")
    assert (tmp_path / "monday.tar").read_text() == "precious"


def test_what_cannot_be_written_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CooklineError, match="could not be written: No such file or directory"):
        backup.write(store.directory, tmp_path / "nowhere" / "monday.tar")
    folder = tmp_path / "empty"
    folder.mkdir()
    with contextlib.suppress(UsageError):
        backup.write(folder / ".cookline", folder / "monday.tar")
    assert list(folder.iterdir()) == []
