"""A copy of a cookline directory in one file, made while others work with it.

The database is copied at one moment, and the contents that it names after it: they are written before it and never change. What
is unfinished in the copy is taken up by whoever works with it, as after a crash; the engine's own file is not needed for that.
A copy is a store of its own: the hosts of the original refuse it until `--take-over`, so that both never work on the same host.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cookline.control.store.identifiers import new_identifier
from cookline.errors import CooklineError, UsageError

DATABASES = ("store.db", "metrics.db")
# Hosts in containers and Vagrant machines are of this machine: their disks are no part of a copy.
OTHERS = ("secrets.json", "known_hosts", "sink.json", "blobs", "runs", "providers/ec2")


def write(directory: Path, file: Path) -> int:
    """Write `directory` (.cookline) to the tar archive `file`, mode 0600; its size in bytes.

    Raises UsageError where there is nothing to copy, or a file already; CooklineError when it cannot be written.
    """
    if not (directory / "store.db").exists():
        raise UsageError(f"nothing was pushed in {directory.parent}: there is no store to copy")
    if file.exists():
        raise UsageError(f"{file} is there already", hint="a backup does not replace another one: give it a new name")
    staged = file.with_name(f".{file.name}.new")
    try:
        with os.fdopen(os.open(staged, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w") as archive, tempfile.TemporaryDirectory(dir=file.parent) as scratch:
                for name in DATABASES:
                    if (directory / name).exists():
                        _add(archive, _copied(directory / name, Path(scratch) / name), name)
                for path in _files(directory):
                    _add(archive, path, str(path.relative_to(directory)))
            os.fsync(stream.fileno())
        staged.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise CooklineError(f"{file} could not be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        staged.unlink(missing_ok=True)
    return file.stat().st_size


def _copied(database: Path, copy: Path) -> Path:
    """The database as it is at this moment, whoever writes to it meanwhile."""
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=delete")  # one file, whole
        if database.name == "store.db":
            with target:
                target.execute("UPDATE meta SET value=? WHERE key='store'", (new_identifier(),))
                target.execute("DELETE FROM claims")
    return copy


def _files(directory: Path) -> Iterator[Path]:
    for name in OTHERS:
        found = directory / name
        paths = sorted(found.rglob("*")) if found.is_dir() else [found]
        yield from (path for path in paths if path.is_file() and not path.name.startswith("."))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """A report that is written to, or goes meanwhile, is as long as it was when it was opened, or not there."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as content:
        member = archive.gettarinfo(arcname=name, fileobj=content)
        member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
        archive.addfile(member, content)
