"""The only door to the machine: run, read, write atomically, stat.

Resources and facts go through a `System`; nothing else in the host wing opens files or starts programs on behalf of a recipe.
In a plan (`apply=False`) every method that changes the machine raises PlanWrite, and the audit hook of `run/guard.py` lets only
this module read programs' output.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat as stat_module
import time
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from cookline.errors import CooklineError, ResourceError
from cookline.host.afterwards import Afterwards
from cookline.host.execution import Completed as Completed
from cookline.host.execution import execute
from cookline.host.foresight import Foresight
from cookline.host.paths import BACKUPS

# Backups kept of a file that is overwritten (features R9: backup 5).
BACKUPS_KEPT = 5
# What the kernel says of a path at which nothing is, a link that leads to itself too.
NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class PlanWrite(CooklineError):
    """Something tried to change the machine while a plan was being made."""


class FileStatus(NamedTuple):
    """What lstat says, in the words that resources use: kind is file, directory, link or other; mode is four octal digits."""

    kind: str
    mode: str
    uid: int
    gid: int
    size: int
    inode: int
    modified: float


class System(Foresight):
    """One machine, seen from the inside, for the length of one run.

    `apply` is False in a plan. `on_wait(what, holder)` is called while something is waited for (the dpkg lock).
    `on_tell(text, level)` puts a line into the report and returns it with secrets masked.
    `on_scratch(path)` is told of each path that must not outlive the run, before it is made.
    `steps` counts the moments before, amid and after changes; at the one with the number `die_at` the process kills itself.
    `known` caches batch reads (dpkg status, passwd, units) under a name until something here changes the machine.
    """

    def __init__(self, *, apply: bool = True, on_wait: Optional[Callable[[str, str], None]] = None) -> None:
        self.apply = apply
        self.on_wait = on_wait or (lambda what, holder: None)
        self.on_tell: Callable[[str, str], str] = lambda text, level: text
        self.on_scratch: Callable[[str], None] = lambda path: None
        self.steps, self.die_at = 0, 0
        self.known: Dict[str, Any] = {}
        self._batches: Set[str] = set()
        self.afterwards = Afterwards()
        self.inside = 0  # depth of calls of this door; the audit hook of a plan looks at it

    # -- reading ---------------------------------------------------------------------------------------------------

    def remember(self, name: str, read: Callable[[], Any]) -> Any:
        """The value of one batch read, made once until the machine changes or `forget(name)`."""
        if name not in self.known:
            self.known[name] = read()
            self._batches.add(name)
        return self.known[name]

    def forget(self, *names: str) -> None:
        """Drop batch reads that a change has made stale."""
        for name in names:
            self.known.pop(name, None)

    def read(self, path: str) -> Optional[bytes]:
        """The content of a regular file, or None when there is none."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno not in (*NOTHING_THERE, errno.EISDIR):
                raise
            return None

    def status(self, path: str) -> Optional[FileStatus]:
        """What stands at `path` itself (links are not followed), or None."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        kinds = {stat_module.S_IFREG: "file", stat_module.S_IFDIR: "directory", stat_module.S_IFLNK: "link"}
        return FileStatus(
            kind=kinds.get(stat_module.S_IFMT(found.st_mode), "other"),
            mode=f"{stat_module.S_IMODE(found.st_mode):04o}",
            uid=found.st_uid,
            gid=found.st_gid,
            size=found.st_size,
            inode=found.st_ino,
            modified=found.st_mtime,
        )

    def link_target(self, path: str) -> Optional[str]:
        """Where the symbolic link at `path` points, as written; None when it is no link."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def listing(self, path: str) -> List[str]:
        """The sorted names in a directory; empty when there is none."""
        try:
            return sorted(os.listdir(path))
        except OSError as error:
            if error.errno not in NOTHING_THERE:
                raise
            return []

    def has_bus(self) -> bool:
        """Whether systemd can be asked over its own socket; else by systemctl."""
        from cookline.host import dbus

        return dbus.available()

    def real_path(self, path: str) -> str:
        """The path behind all links, whether something stands there or not."""
        return os.path.realpath(path)

    def exists(self, path: str) -> bool:
        """Whether anything stands at `path` itself, a link that leads nowhere too."""
        return os.path.lexists(path)

    # -- programs --------------------------------------------------------------------------------------------------

    def query(self, command: Union[str, Sequence[str]], **options: Any) -> Completed:
        """Run a program that only reads; allowed in a plan. Options as in `run`; any exit status is returned."""
        return self._program(command, ok=None, **options)

    def run(self, command: Union[str, Sequence[str]], *, ok: Optional[Sequence[int]] = (0,), **options: Any) -> Completed:
        """Run a program that may change the machine.

        A string goes to /bin/sh, a sequence runs without a shell. `ok` lists the good exit statuses, None takes any.
        Options: input (str), timeout (seconds, 3600), cwd, env (added to the fixed environment), user, group, umask.
        Raises CommandError; raises PlanWrite in a plan.
        """
        self._begin_change(f"run {command!r}")
        done = self._program(command, ok=ok, **options)
        self.step()
        return done

    def _program(self, command: Union[str, Sequence[str]], **options: Any) -> Completed:
        with self.open_door():
            return execute(command, **options)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(
        self,
        path: str,
        content: Union[bytes, BinaryIO],
        *,
        mode: Optional[str] = None,
        uid: Optional[int] = None,
        gid: Optional[int] = None,
        verify: Optional[Callable[[str], None]] = None,
        backup: bool = False,
    ) -> None:
        """Put `content` at `path` whole or not at all: staged beside it, synced, owned, verified, then renamed.

        A file opened for reading is copied in pieces, so that large ones need no memory.
        What is not given (mode, uid, gid) is kept from the file that stands there; a new file is 0644 root:root.
        `verify(staged_path)` raises when the staged file is not good; then nothing has changed. Links are followed.
        """
        path = os.path.realpath(path)
        old = self.status(path)
        if old is not None and old.kind == "directory":
            raise ResourceError(f"{path} is a directory; a file cannot take its place")
        if not os.path.isdir(os.path.dirname(path)):
            raise ResourceError(f"{os.path.dirname(path)} does not exist", hint=f"put a Directory before the file {path}")
        with self.change("write", path), self._staged(path) as (descriptor, staged):
            self.step()
            with open(descriptor, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    _copy(content, file)
                os.fchown(descriptor, *self._ownership(old, uid, gid))
                os.fchmod(descriptor, int(mode or (old.mode if old else "0644"), 8))
                file.flush()
                os.fsync(descriptor)
            if verify is not None:
                verify(staged)
            if backup and old is not None:
                self.keep_backup(path)
            self.step()
            os.replace(staged, path)

    @staticmethod
    def _ownership(old: Optional[FileStatus], uid: Optional[int], gid: Optional[int]) -> Tuple[int, int]:
        kept_uid, kept_gid = (old.uid, old.gid) if old else (0, 0)
        return (kept_uid if uid is None else uid, kept_gid if gid is None else gid)

    @contextlib.contextmanager
    def _staged(self, path: str) -> Iterator[Tuple[int, str]]:
        staged = self.scratch(f"{os.path.dirname(path)}/.cookline-")
        descriptor = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor, staged
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(staged)

    def scratch(self, prefix: str) -> str:
        """A path that begins so and that nobody can guess, for what goes again within this change: the caller makes and removes
        it. When the run is killed in between, the next run removes it."""
        path = prefix + os.urandom(8).hex()
        self.on_scratch(path)
        return path

    def keep_backup(self, path: str) -> str:
        """Copy the file at `path` below BACKUPS, keeping the newest BACKUPS_KEPT; returns where."""
        directory = BACKUPS + os.path.dirname(path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        name = os.path.basename(path)
        target = f"{directory}/{name}.{time.strftime('%Y%m%d%H%M%S')}.{time.monotonic_ns()}"
        with (
            open(path, "rb") as source,
            open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as copy,
        ):
            copy.write(source.read())
        old = [entry for entry in self.listing(directory) if entry.rsplit(".", 2)[0] == name]
        for entry in old[:-BACKUPS_KEPT]:
            os.unlink(f"{directory}/{entry}")
        return target

    def change_mode(self, path: str, mode: str) -> None:
        with self.change("set the mode of", path):
            os.chmod(path, int(mode, 8))

    def change_owner(self, path: str, uid: int = -1, gid: int = -1) -> None:
        """Links themselves are changed, not what they point to."""
        with self.change("set the owner of", path):
            os.chown(path, uid, gid, follow_symlinks=False)

    def make_directory(self, path: str, *, mode: str = "0755", uid: int = -1, gid: int = -1, parents: bool = False) -> None:
        """Make it whole: with its owner (-1 is root) and its rights from the first moment on. Its parents are 0755 root."""
        with self.change("make", path):
            if parents:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            staged = self.scratch(f"{os.path.dirname(path)}/.cookline-")
            os.mkdir(staged, 0o700)
            self.step()
            os.chown(staged, uid, gid)
            os.chmod(staged, int(mode, 8))
            os.rename(staged, path)

    def make_link(self, path: str, target: str) -> None:
        """A symbolic link at `path`, replacing another link or file in one step."""
        with self.change("link", path):
            staged = self.scratch(f"{os.path.dirname(path)}/.cookline-")
            os.symlink(target, staged)
            self.step()
            try:
                os.replace(staged, path)
            except OSError:
                os.unlink(staged)
                raise

    def remove(self, path: str) -> None:
        """Remove a file, link or empty directory; absent is fine."""
        with self.change("remove", path), contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)

    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that is in it, without following links; absent is fine."""
        import shutil

        with self.change("remove", path), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    # -- what guards a change ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def change(self, verb: str, path: str) -> Iterator[None]:
        """Around every change of a path: refused in a plan; what the kernel refuses is a ResourceError that names the path."""
        self._begin_change(f"{verb} {path}")
        try:
            with self.open_door():
                yield
            self.step()
        except OSError as error:
            hint = f"df -h {os.path.dirname(path)}" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
            raise ResourceError(f"cannot {verb} {path}: {error.strerror or error}", hint=hint) from None

    def _begin_change(self, what: str) -> None:
        """Refuses in a plan; forgets every batch read, as any change may have made each of them stale."""
        if not self.apply:
            raise PlanWrite(f"a plan must not {what}")
        self.forget(*self._batches)
        self._batches.clear()
        self.step()

    def step(self) -> None:
        """A moment at which a run may be killed. Tests have it die at each (`die_at` of the run request, which nothing else
        sets) and see that the next run ends in the right state."""
        self.steps += 1
        if self.steps == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def open_door(self) -> Iterator[None]:
        """Marks what happens inside as done by this door, for the audit hook of a plan."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    for piece in iter(lambda: source.read(1 << 20), b""):
        target.write(piece)
