"""Users and groups of the machine, from /etc/passwd and /etc/group, each parsed once; name services only for strangers."""

from __future__ import annotations

import functools
import re
from typing import Dict, Iterable, NamedTuple, Optional, Tuple, Union

from cookline.errors import ResourceError, did_you_mean
from cookline.host.system import System


class Account(NamedTuple):
    """One line of /etc/passwd without the password."""

    name: str
    uid: int
    gid: int
    comment: str
    home: str
    shell: str


class GroupEntry(NamedTuple):
    """One line of /etc/group without the password."""

    name: str
    gid: int
    members: Tuple[str, ...]


class Shadow(NamedTuple):
    """The password field of /etc/shadow, "!" in front when it is locked, and the day of expiry, "" for never."""

    password: str
    expires: str


# Each change of the machine has the files read again; most leave them as they were. What is returned is not to be changed.
@functools.lru_cache(maxsize=2)
def parse_passwd(text: str) -> Dict[str, Account]:
    """Accounts by name; lines that are not of seven fields are skipped, as the C library does."""
    accounts = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
            accounts[fields[0]] = Account(fields[0], int(fields[2]), int(fields[3]), *fields[4:])
    return accounts


@functools.lru_cache(maxsize=2)
def parse_group(text: str) -> Dict[str, GroupEntry]:
    """Groups by name."""
    groups = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():
            groups[fields[0]] = GroupEntry(fields[0], int(fields[2]), tuple(name for name in fields[3].split(",") if name))
    return groups


def with_line(text: str, name: str, line: Optional[str]) -> str:
    """The text of passwd or group with the entry `name` replaced, added, or (None) left out."""
    kept = [each for each in text.splitlines() if each.split(":")[0] != name]
    return "\n".join([*kept, *([] if line is None else [line])]) + "\n"


def free_number(taken: Iterable[int]) -> int:
    """A number that nobody has yet, above those of people; what a plan takes for what useradd would choose."""
    return max((number for number in taken if number < 60000), default=999) + 1


def _text(host: System, path: str) -> str:
    return (host.read(path) or b"").decode("utf-8", "surrogateescape")


def users(host: System) -> Dict[str, Account]:
    return host.remember("passwd", lambda: parse_passwd(_text(host, "/etc/passwd")))  # type: ignore[no-any-return]


def groups(host: System) -> Dict[str, GroupEntry]:
    return host.remember("group", lambda: parse_group(_text(host, "/etc/group")))  # type: ignore[no-any-return]


def shadow(host: System, name: str) -> Shadow:
    """What /etc/shadow says of an account; an empty password and no expiry without a line."""
    for line in _text(host, "/etc/shadow").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 7:
            return Shadow(fields[1], _day(fields[7]))
    return Shadow("", "")


def _day(number: str) -> str:
    """ "2027-01-31" for a number of days since 1970; empty for none."""
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(int(number) * 86400)) if re.fullmatch(r"\d{1,6}", number) else ""


def uid_of(host: System, owner: Union[str, int]) -> int:
    """The number of a user given by name or number. Raises ResourceError."""
    if isinstance(owner, int):
        return owner
    if owner in users(host):
        return users(host)[owner].uid
    import pwd

    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        hint = f"put a User({owner!r}) before"
        raise ResourceError(f"there is no user {owner!r} on this host{did_you_mean(owner, users(host))}", hint=hint) from None


def gid_of(host: System, group: Union[str, int]) -> int:
    """The number of a group given by name or number. Raises ResourceError."""
    if isinstance(group, int):
        return group
    if group in groups(host):
        return groups(host)[group].gid
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        hint = f"put a Group({group!r}) before"
        raise ResourceError(f"there is no group {group!r} on this host{did_you_mean(group, groups(host))}", hint=hint) from None


def user_name(host: System, uid: int) -> str:
    """The name of a user, or its number as text when it has none."""
    names: Dict[int, str] = host.remember(
        "passwd by uid", lambda: {each.uid: each.name for each in reversed(users(host).values())}
    )
    if uid not in names:
        import pwd

        try:
            names[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            names[uid] = str(uid)
    return names[uid]


def group_name(host: System, gid: int) -> str:
    """The name of a group, or its number as text when it has none."""
    names: Dict[int, str] = host.remember(
        "group by gid", lambda: {each.gid: each.name for each in reversed(groups(host).values())}
    )
    if gid not in names:
        import grp

        try:
            names[gid] = grp.getgrgid(gid).gr_name
        except KeyError:
            names[gid] = str(gid)
    return names[gid]


def owner_like(host: System, uid: int, wanted: Union[str, int]) -> Union[str, int]:
    """The owner in the form in which it is declared, number or name; of users with one number the wanted one."""
    if isinstance(wanted, int):
        return uid
    account = users(host).get(wanted)
    return wanted if account is not None and account.uid == uid else user_name(host, uid)


def group_like(host: System, gid: int, wanted: Union[str, int]) -> Union[str, int]:
    """The group in the form in which it is declared."""
    if isinstance(wanted, int):
        return gid
    entry = groups(host).get(wanted)
    return wanted if entry is not None and entry.gid == gid else group_name(host, gid)
