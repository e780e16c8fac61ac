"""What all kinds of file have in common: File, CookbookFile, Template, Cron, SystemdUnit."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from cookline.errors import CommandError, ResourceError, ResourceUsageError
from cookline.host.accounts import user_name
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import (
    Owner,
    absolute_path,
    apply_ownership,
    check_names,
    desired_ownership,
    normal_mode,
    read_ownership,
    restore_context,
    uid_and_gid,
)
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.resources.text_diff import unified_diff
from cookline.host.system import FileStatus, System
from cookline.protocol import content_hash


class ManagedFile(Resource):
    """A regular file; subclasses say where its content comes from.

    path            absolute; a link there is followed
    mode            four octal digits; None leaves it (a new file gets 0644)
    owner, group    name or number; None leaves it (a new file gets root)
    verify          a command, or several, run on the staged file `%{path}` before it takes its place; if one fails, nothing
                    has changed
    backup          keep the last five contents below /var/lib/cookline/backups
    create_if_missing   True gives the content to a new file only: what stands there later is the host's own
    exists          False removes the file
    content_sha256  filled in from the content
    """

    path: str
    mode: Any = field(default=None, kw_only=True)
    owner: Owner = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    verify: Any = field(default=(), kw_only=True)
    backup: bool = field(default=True, kw_only=True)
    create_if_missing: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)
    content_sha256: Optional[str] = field(default=None, kw_only=True, repr=False)

    needs_services = False

    def __post_init__(self) -> None:
        kind = type(self).__name__
        verify = (self.verify,) if isinstance(self.verify, str) else tuple(self.verify or ())
        if any("%{path}" not in command for command in verify):
            raise ResourceUsageError(f"{kind}[{self.path}]: `verify` needs %{{path}}, where the staged file is put")
        self._set(path=absolute_path(kind, self.path), mode=normal_mode(kind, self.mode), verify=verify)

    def content_bytes(self) -> bytes:
        """The desired content; asked for only when it is written or shown."""
        raise NotImplementedError

    def current(self, host: System) -> State:
        status = host.status(self.path)
        if status is not None and status.kind == "link" and self.exists:
            status = host.status(host.real_path(self.path))
        if status is None:
            self._look_at_plan(host)
            return dict(ABSENT)
        if status.kind not in ("file", "link"):
            return {"exists": True, "kind": status.kind}
        state: State = {"exists": True, **read_ownership(self, host, status)}
        if self.content_sha256 is not None:
            kept = self.create_if_missing
            state["content"] = self.content_sha256 if kept else content_hash(host.read(self.path) or b"")
        if state != self.desired():
            check_names(self, host)
        return state

    def _look_at_plan(self, host: System) -> None:
        """A file that is to go, or whose content is not given, may be brought by what comes before. Raises CannotKnow."""
        check_names(self, host)
        cause = host.unforeseen(self.path) if not self.exists or self.content_sha256 is None else ""
        if cause:
            raise CannotKnow(f"{self.path} does not exist yet; {cause} before it may bring it")

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT)
        content = {} if self.content_sha256 is None else {"content": self.content_sha256}
        return {"exists": True, **content, **desired_ownership(self)}

    def apply(self, host: System, changes: Changes) -> None:
        status = host.status(host.real_path(self.path))
        if status is not None and status.kind != "file":
            raise ResourceError(f"{self.path} is a {status.kind}, not a file", hint=f"remove it before {self.name}")
        if self.exists and status is not None:
            self._refuse_foreign_link(host, status)
        if not self.exists:
            self._remove(host)
        elif status is None or "content" in changes:
            self._write(host)
        else:
            apply_ownership(self, host, host.real_path(self.path), changes)

    def _refuse_foreign_link(self, host: System, target: FileStatus) -> None:
        """A user's link to somebody else's file is not followed, as root would write where that user must not."""
        link = host.status(self.path)
        if link is not None and link.kind == "link" and link.uid not in (0, target.uid):
            owner = user_name(host, link.uid)
            raise ResourceError(f"{self.path} is a link that {owner!r} made to a file of somebody else; it is not followed")

    def _remove(self, host: System) -> None:
        status = host.status(self.path)
        if status is not None and status.kind == "file" and self.backup:
            host.keep_backup(self.path)
        host.remove(self.path)

    def _write(self, host: System) -> None:
        uid, gid = uid_and_gid(host, self.owner, self.group)
        content = b"" if self.content_sha256 is None else self.content_bytes()
        check = self._verifier(host) if self.verify else None
        host.write(self.path, content, mode=self.mode, uid=uid, gid=gid, verify=check, backup=self.backup)
        restore_context(host, host.real_path(self.path))

    def _verifier(self, host: System) -> Callable[[str], None]:
        return verifier(host, self.path, self.verify, self.timeout)

    def diff(self, host: System, changes: Changes) -> Optional[str]:
        if self.sensitive or "content" not in changes or self.content_sha256 is None:
            return None
        return unified_diff(self.path, host.read(self.path) or b"", self.content_bytes())

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """The file comes back as it was, or goes when it was not there; one of more than 10 MiB does not come back."""
        return path_as_it_is(host, host.real_path(self.path) if self.exists else self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.path]

    def declaration(self) -> Dict[str, Any]:
        """The content stands as its hash; what it was made of stays out of the inventory."""
        names = ("path", "mode", "owner", "group", "create_if_missing", "exists", "content_sha256", "sensitive")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> Any:
        """A plain file with the stored hash: enough for `current`."""
        return ManagedFile(**fields)


def verifier(host: System, path: str, commands: Any, timeout: Optional[float]) -> Callable[[str], None]:
    """A function that runs each command on the staged file. It raises ResourceError; nothing has changed then."""

    def check(staged: str) -> None:
        import shlex

        for command in commands:
            try:
                host.run(command.replace("%{path}", shlex.quote(staged)), timeout=timeout or 60.0)
            except CommandError as error:
                output = (error.stderr or error.stdout).replace(staged, path).strip()[-2000:]
                raise ResourceError(f"the new {path} was refused by `{command}` and is not used:\n{output}") from None

    return check
