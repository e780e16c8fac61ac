"""User: an account in /etc/passwd."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import accounts
from cookline.host.foresight import CannotKnow
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import Owner
from cookline.host.system import System
from cookline.protocol import content_hash

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

# What Debian's useradd takes.
NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?")
# `useradd` and `usermod` have no long name in common for the home.
OPTIONS = {"uid": "--uid", "group": "--gid", "shell": "--shell", "home": "-d", "comment": "--comment"}


class User(Resource):
    """An account. Fields that are None are not managed; a new account gets the system's defaults for them.

    user            its name
    uid             number
    group           primary group, name or number; a new account gets a group of its own name
    groups          further groups that it must be in; others are left alone
    shell, home     absolute paths; comment: its full name
    create_home     make the home when the account is made; by default for accounts that are not `system`
    system          take a number from the system's range
    password_hash   as in shadow(5), from `mkpasswd` or `openssl passwd -6`; "!" locks it. Never shown
    locked          True keeps its password from being used, False lets it; keys still log in
    expires         the first day, "2027-01-31", on which nobody can log in; "" for never
    non_unique      take `uid` although another account has it
    remove_home     with exists=False, remove home and mail too
    exists          False removes the account

    >>> User("shop", system=True, home="/srv/www/shop", shell="/usr/sbin/nologin").desired()
    {'exists': True, 'shell': '/usr/sbin/nologin', 'home': '/srv/www/shop'}
    """

    user: str
    uid: Optional[int] = field(default=None, kw_only=True)
    group: Owner = field(default=None, kw_only=True)
    groups: Sequence[str] = field(default=(), kw_only=True)
    shell: Optional[str] = field(default=None, kw_only=True)
    home: Optional[str] = field(default=None, kw_only=True)
    comment: Optional[str] = field(default=None, kw_only=True)
    create_home: Optional[bool] = field(default=None, kw_only=True)
    system: bool = field(default=False, kw_only=True)
    password_hash: Optional[str] = field(default=None, kw_only=True, repr=False)
    locked: Optional[bool] = field(default=None, kw_only=True)
    expires: Optional[str] = field(default=None, kw_only=True)
    non_unique: bool = field(default=False, kw_only=True)
    remove_home: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    sensitive_fields = ("password_hash",)

    needs_services = False

    def __post_init__(self) -> None:
        if not isinstance(self.user, str) or not NAME.fullmatch(self.user):
            raise ResourceUsageError(f"User needs a name of small letters, digits, _ and -, not {self.user!r}")
        for name in ("shell", "home", "comment", "password_hash"):
            if re.search(r"[:\n]", getattr(self, name) or ""):
                raise ResourceUsageError(f"User[{self.user}] has a colon or a line's end in its {name}")
        if self.expires and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(self.expires)):
            raise ResourceUsageError(f"User[{self.user}] has expires {self.expires!r}; give a day as '2027-01-31', or ''")
        if self.locked is False and self.password_hash and self.password_hash.startswith("!"):
            raise ResourceUsageError(f"User[{self.user}] says locked=False, but its password_hash is a locked one")
        if self.expires is not None:
            self._set(expires=str(self.expires))
        self._set(groups=tuple(sorted([self.groups] if isinstance(self.groups, str) else self.groups)))

    def current(self, host: System) -> State:
        account = accounts.users(host).get(self.user)
        if account is None:
            self._look_at_plan(host)
            return dict(ABSENT)
        state: State = {"exists": True, "uid": account.uid, "shell": account.shell, "home": account.home}
        state["comment"] = account.comment
        if self.group is not None:
            state["group"] = accounts.group_like(host, account.gid, self.group)
        if self.groups:
            state["groups"] = [name for name in self.groups if self._is_in(host, name, account.gid)]
        if self._shadowed():
            state.update(self._shadow(host))
        return state

    def _look_at_plan(self, host: System) -> None:
        """What comes before may make the account, as packages do. Raises CannotKnow."""
        cause = host.unforeseen_account(self.user)
        if cause:
            raise CannotKnow(f"user {self.user} does not exist yet; {cause} before it may make it")

    def _shadowed(self) -> bool:
        return self.password_hash is not None or self.locked is not None or self.expires is not None

    def _shadow(self, host: System) -> State:
        """What only root may read. A password that is locked stays the same password."""
        shadow = accounts.shadow(host, self.user)
        locked = shadow.password.startswith("!")
        password = shadow.password[1:] if locked and self.locked is not None else shadow.password
        return {"password_hash": _hidden(password), "locked": locked, "expires": shadow.expires}

    def _is_in(self, host: System, name: str, primary: int) -> bool:
        group = accounts.groups(host).get(name)
        return group is not None and (self.user in group.members or group.gid == primary)

    def desired(self) -> State:
        if not self.exists:
            return dict(ABSENT)
        names = ("uid", "group", "shell", "home", "comment", "locked", "expires")
        managed = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.groups:
            managed["groups"] = list(self.groups)
        if self.password_hash is not None:
            managed["password_hash"] = _hidden(self.password_hash)
        return {"exists": True, **managed}

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            host.run(["userdel", *(["--remove"] if self.remove_home else []), "--", self.user])
        elif "exists" in changes:
            host.run(["useradd", *self._creation(host), "--", self.user])
        else:
            options = self._options(changes) + (["--append", "--groups", ",".join(self.groups)] if "groups" in changes else [])
            if options:
                host.run(["usermod", *options, "--", self.user])
        if self.exists:
            self._apply_shadow(host, changes)

    def _apply_shadow(self, host: System, changes: Changes) -> None:
        """The lock comes last, as a new password opens it."""
        if "password_hash" in changes:
            host.run(["chpasswd", "--encrypted"], input=f"{self.user}:{self.password_hash}\n")
        if "expires" in changes:
            host.run(["usermod", "--expiredate", self.expires or "", "--", self.user])
        locked = accounts.shadow(host, self.user).password.startswith("!")
        if self.locked and not locked:
            host.run(["usermod", "--lock", "--", self.user])
        elif self.locked is False and locked:
            self._unlock(host)

    def _unlock(self, host: System) -> None:
        """usermod refuses to leave an account without a password, which anybody could enter; so does this."""
        if accounts.shadow(host, self.user).password in ("!", "!!"):
            hint = "give it a password_hash, or leave it locked: keys log in all the same"
            raise ResourceError(f"user {self.user!r} has no password, so it cannot be unlocked", hint=hint)
        host.run(["usermod", "--unlock", "--", self.user])

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """An account that was made goes (its home stays, and a group of its name that was there before); fields that were
        changed come back, but for passwords and memberships; one that was removed does not."""
        if self.exists and "exists" in changes:
            kind = _AddedToGroup if self.user in accounts.groups(host) else User
            return kind(self.user, exists=False)
        if not self.exists or "password_hash" in changes or "groups" in changes:
            return None
        names = ("uid", "group", "shell", "home", "comment", "locked", "expires")
        return User(self.user, **{name: before for name, (before, _) in changes.items() if name in names})

    def predict(self, host: Overlay, changes: Changes) -> None:
        from cookline.host.resources import user_foresight

        if not self.exists:
            user_foresight.removes(host, self)
            return
        unsure = (
            "exists" in changes and changes["exists"][0] is None
        )  # something before may have made it, with or without a home
        user_foresight.makes(host, self, with_home=self.creates_home and not unsure)
        if unsure:
            host.cannot_foresee(self.name, accounts.users(host)[self.user].home)

    @property
    def creates_home(self) -> bool:
        return not self.system if self.create_home is None else self.create_home

    def _options(self, changes: Changes) -> List[str]:
        unique = ["--non-unique"] if self.non_unique and "uid" in changes else []
        return unique + [word for name, flag in OPTIONS.items() if name in changes for word in (flag, str(getattr(self, name)))]

    def _creation(self, host: System) -> List[str]:
        options = ["--create-home" if self.creates_home else "--no-create-home", *(["--system"] if self.system else [])]
        if self.group is None and self.user in accounts.groups(host):
            options += ["--gid", self.user]
        options += ["--groups", ",".join(self.groups)] if self.groups else []
        managed: Dict[str, Any] = {name: (None, getattr(self, name)) for name in OPTIONS if getattr(self, name) is not None}
        return options + self._options(managed)

    def watched_paths(self) -> List[str]:
        return ["/etc/passwd", "/etc/group"] + (["/etc/shadow"] if self._shadowed() else [])

    def declaration(self) -> Dict[str, Any]:
        """Without the password hash; that one is managed is enough."""
        fields = {name: getattr(self, name) for name in ("user", "group", "locked", "expires", "exists", "sensitive")}
        return {**fields, "groups": list(self.groups), "password_hash": None if self.password_hash is None else "managed"}


class _AddedToGroup(User):
    """An account that was made where a group of its name was; `userdel` would take the group with it."""

    @property
    def name(self) -> str:
        return f"User[{self.user}]"

    def apply(self, host: System, changes: Changes) -> None:
        group = accounts.groups(host).get(self.user)
        super().apply(host, changes)
        if group is not None and self.user not in accounts.groups(host):
            host.run(["groupadd", "--gid", str(group.gid), "--", self.user])


def _hidden(password_hash: str) -> str:
    """What stands for a password hash in states: equal only for equal ones, and of no use to anybody."""
    return f"sha256 {content_hash(password_hash.encode())}"
