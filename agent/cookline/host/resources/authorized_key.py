"""AuthorizedKey: a key that may log in as a user."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import accounts
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.resources.ownership import restore_context
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

KEY = re.compile(
    r"((?:sk-)?(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-nistp(?:256|384|521))(?:@openssh\.com)?)[ \t]+"
    r"(AAAA[A-Za-z0-9+/]+=*)(?:[ \t]+([^\n\r]*))?"
)
FILE = "authorized_keys"


class Line(NamedTuple):
    """One key of an authorized_keys file; options are as they stand there."""

    options: str
    kind: str
    blob: str
    comment: str


class AuthorizedKey(Resource):
    """A public key in a user's ~/.ssh/authorized_keys. The directory is made 0700 and the file 0600, both the user's; other
    keys stay. A link in place of either is refused: root would write where the user points to.

    user        the account; it and its home must be there
    key         the key as in id_ed25519.pub: kind, key, comment
    options     restrictions as in sshd(8): 'command="/bin/backup"', "no-pty"; one or a list
    exists      False removes the key

    >>> AuthorizedKey("ops", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 anna@example.net").name
    'AuthorizedKey[ops: anna@example.net]'
    """

    user: str
    key: str
    options: Union[str, Sequence[str]] = field(default=(), kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        found = KEY.fullmatch(str(self.key).strip())
        if found is None:
            raise ResourceUsageError(
                f"AuthorizedKey[{self.user}] needs a public key as 'ssh-ed25519 AAAA.. name', not {self.key!r}"
            )
        options = (self.options,) if isinstance(self.options, str) else tuple(self.options)
        if any(not option or re.search(r"[\n\r]", option) for option in options):
            raise ResourceUsageError(f"AuthorizedKey[{self.user}] has options {self.options!r}; give one line each")
        self._set(
            options=options, _line=Line(",".join(options), found.group(1), found.group(2), (found.group(3) or "").strip())
        )

    @property
    def line(self) -> Line:
        return self.__dict__["_line"]  # type: ignore[no-any-return]

    @property
    def identity(self) -> str:
        return f"{self.user}: {self.line.comment or '..' + self.line.blob[-12:]}"

    def current(self, host: System) -> State:
        account = self._account(host)
        directory, path = f"{account.home}/.ssh", f"{account.home}/.ssh/{FILE}"
        state: State = {}
        for name, each in (("directory", directory), ("file", path)):
            status = host.status(each)
            owner = None if status is None else accounts.owner_like(host, status.uid, self.user)
            state[name] = None if status is None else f"{status.kind} {status.mode} {owner}"
        followed = state["file"] and state["file"].startswith("file ") and str(state["directory"]).startswith("directory ")
        found = next((each for each in _lines(host.read(path) or b"") if each and each.blob == self.line.blob), None)
        return {"key": _shown(found) if followed and found else None, **state}

    def _account(self, host: System) -> accounts.Account:
        account = accounts.users(host).get(self.user)
        if account is None:
            if host.unforeseen():
                raise CannotKnow(f"there is no user {self.user!r} yet; {host.unforeseen()} before it may make the account")
            raise ResourceError(f"there is no user {self.user!r} on this host", hint=f"put User({self.user!r}) before")
        return account

    def _require_home(self, host: System, account: accounts.Account) -> None:
        if host.status(account.home) is None:
            raise ResourceError(
                f"{account.home}, the home of {self.user!r}, does not exist", hint=f"put Directory({account.home!r}) before"
            )

    def desired(self) -> State:
        if not self.exists:
            return {"key": None}
        return {"key": _shown(self.line), "directory": f"directory 0700 {self.user}", "file": f"file 0600 {self.user}"}

    def apply(self, host: System, changes: Changes) -> None:
        account = self._account(host)
        path = f"{account.home}/.ssh/{FILE}"
        self._require_home(host, account)
        with host.change("write", path), _opened(account.home, account) as directory:
            old = _read(directory, path)
            _write(host, directory, path, self._edited(old), account)
        restore_context(host, path)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The key goes that came, and comes back as it stood; modes and owners that were wrong are not put back."""
        if "key" not in changes or any(changes[name][0] for name in ("directory", "file") if name in changes):
            return None
        before = _parsed(changes["key"][0] or "")
        if before is None:
            return AuthorizedKey(self.user, self.key, exists=False)
        return AuthorizedKey(self.user, _shown(before._replace(options="")), options=before.options or ())

    def predict(self, host: Overlay, changes: Changes) -> None:
        from cookline.host.overlay import Node

        account = self._account(host)
        self._require_home(host, account)
        directory = f"{account.home}/.ssh"
        for path, kind in ((directory, "directory"), (f"{directory}/{FILE}", "file")):
            found = host.status(path)
            if found is not None and found.kind != kind:
                raise ResourceError(f"{path} is a {found.kind}; it is not followed")
        edited = self._edited(host.read(f"{directory}/{FILE}") or b"")
        host.put(directory, Node("directory", "0700", account.uid, account.gid))
        host.put(f"{directory}/{FILE}", Node("file", "0600", account.uid, account.gid, load=lambda: edited))

    def _edited(self, old: bytes) -> bytes:
        """The file with the key in its place once, or without it."""
        kept: List[str] = []
        placed = not self.exists
        for text, line in zip(_texts(old), _lines(old)):
            if line is None or line.blob != self.line.blob:
                kept.append(text)
            elif not placed:
                kept.append(_shown(self.line))
                placed = True
        if not placed:
            kept.append(_shown(self.line))
        return "".join(f"{text}\n" for text in kept).encode("utf-8", "surrogateescape")

    def watched_paths(self) -> List[str]:
        import pwd

        with contextlib.suppress(KeyError):
            return [f"{pwd.getpwnam(self.user).pw_dir}/.ssh/{FILE}"]
        return []

    def declaration(self) -> Dict[str, Any]:
        return {"user": self.user, "key": self.key, "options": list(self.options), "exists": self.exists}


def _texts(content: bytes) -> List[str]:
    return content.decode("utf-8", "surrogateescape").splitlines()


def _lines(content: bytes) -> List[Optional[Line]]:
    """Each line as a key, or None for comments and what is no key."""
    return [_parsed(text) for text in _texts(content)]


def _parsed(text: str) -> Optional[Line]:
    if text.lstrip().startswith("#"):
        return None
    found = KEY.search(text)
    return (
        Line(text[: found.start()].strip(), found.group(1), found.group(2), (found.group(3) or "").strip()) if found else None
    )


def _shown(line: Line) -> str:
    return " ".join(part for part in line if part)


@contextlib.contextmanager
def _opened(home: str, account: accounts.Account) -> Iterator[int]:
    """The user's .ssh, made and owned right, as a descriptor: from here on no name that the user may change is followed."""
    parent = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(".ssh", 0o700, dir_fd=parent)
        try:
            directory = os.open(".ssh", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError:
            raise ResourceError(f"{home}/.ssh is no directory but a link or a file; it is not followed") from None
        try:
            _own(directory, account, 0o700)
            yield directory
        finally:
            os.close(directory)
    finally:
        os.close(parent)


def _own(descriptor: int, account: accounts.Account, mode: int) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (account.uid, account.gid):
        os.fchown(descriptor, account.uid, account.gid)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)


def _read(directory: int, path: str) -> bytes:
    try:
        descriptor = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return b""
    except OSError:
        raise ResourceError(f"{path} is a link; it is not followed") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ResourceError(f"{path} is no regular file")
        return file.read()


def _write(host: System, directory: int, path: str, content: bytes, account: accounts.Account) -> None:
    staged = os.path.basename(host.scratch(f"{os.path.dirname(path)}/.cookline-"))
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _own(descriptor, account, 0o600)
            os.fsync(descriptor)
        host.step()
        os.replace(staged, FILE, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged, dir_fd=directory)
        raise
