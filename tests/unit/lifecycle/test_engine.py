"""The engine's files: whose they are, what is refused."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys

import pytest
from kitchen import Kitchen, outcomes

from cookline.control.lifecycle.lock import holder
from cookline.errors import CooklineError


def test_the_engines_file_is_private_and_in_write_ahead_mode(kitchen: Kitchen) -> None:
    kitchen.dispatcher.engine()
    kitchen.do("setup")
    path = kitchen.store.directory / "engine.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_pickled_rows_are_refused(kitchen: Kitchen) -> None:
    kitchen.dispatcher.engine()
    kitchen.do("setup")
    kitchen.dispatcher.close()
    connection = sqlite3.connect(kitchen.store.directory / "engine.db")
    connection.execute("UPDATE workflow_status SET serialization='py_pickle'")
    connection.commit()
    connection.close()
    with kitchen.another() as dispatcher, pytest.raises(CooklineError, match="pickled rows"):
        dispatcher.engine()
    assert holder(kitchen.store.directory) is None, "a refused launch leaves no lock"


def test_a_damaged_file_is_named_with_what_mends_it(kitchen: Kitchen) -> None:
    (kitchen.store.directory / "engine.db").write_bytes(b"this is not a database, not at all" * 100)
    with pytest.raises(CooklineError, match="is damaged") as caught:
        kitchen.dispatcher.engine()
    assert "rm " in str(caught.value.hint)


def test_the_lock_tells_who_holds_it_and_since_when(kitchen: Kitchen) -> None:
    assert holder(kitchen.store.directory) is None
    kitchen.dispatcher.engine()
    held = holder(kitchen.store.directory)
    assert held is not None and held["command"] == "test"
    kitchen.dispatcher.close()
    assert holder(kitchen.store.directory) is None


def test_nothing_of_the_engine_is_printed(kitchen: Kitchen, capfd: pytest.CaptureFixture[str]) -> None:
    kitchen.dispatcher.engine()
    kitchen.do("setup")
    logging.getLogger("dbos").error("something", exc_info=ValueError("x"))
    printed = capfd.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err and "dbos.dev" not in printed.err


def test_a_command_without_batches_takes_the_lock_and_spares_the_engine(kitchen: Kitchen) -> None:
    report = kitchen.do("setup", "app1,lb1")
    assert set(outcomes(report).values()) == {"successful"}
    assert holder(kitchen.store.directory) is not None
    assert not (kitchen.store.directory / "engine.db").exists()


def test_looking_imports_no_engine() -> None:
    script = (
        "import sys; import cookline.control.lifecycle.dispatch, cookline.control.store.store;"
        "print([name for name in ('dbos', 'sqlalchemy', 'paramiko', 'pydantic', 'yaml') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
