"""What a plan knows of an account by useradd, usermod and userdel: the lines of four files, and the home."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Optional

from cookline.host import accounts
from cookline.host.overlay import Node, Overlay

if TYPE_CHECKING:
    from cookline.host.resources.user import User

SKELETON = "/etc/skel"


def makes(host: Overlay, user: User, *, with_home: bool) -> None:
    """The account as it would be, new or changed."""
    name, known = user.user, accounts.users(host)
    old = known.get(name)
    number = old.uid if old else accounts.free_number(each.uid for each in known.values())
    uid = number if user.uid is None else user.uid
    if old is None and user.group is None and name not in accounts.groups(host):
        _set(host, "/etc/group", name, f"{name}:x:{uid}:")
    gid = old.gid if old and user.group is None else accounts.gid_of(host, user.group if user.group is not None else name)
    home = user.home or (old.home if old else f"/home/{name}")
    comment, shell = user.comment or (old.comment if old else ""), user.shell or (old.shell if old else "/bin/sh")
    _set(host, "/etc/passwd", name, f"{name}:x:{uid}:{gid}:{comment}:{home}:{shell}")
    _shadow(host, user)
    if old is None and with_home and host.status(home) is None:
        _make_home(host, home, uid, gid)
    for group in user.groups:
        entry = accounts.groups(host).get(group)
        if entry is not None and name not in entry.members:
            _set_group(host, entry._replace(members=(*entry.members, name)))


def removes(host: Overlay, user: User) -> None:
    """The account goes, out of its groups too; its own group goes when nobody else is in it (USERGROUPS_ENAB, the default)."""
    old = accounts.users(host).get(user.user)
    for path in ("/etc/passwd", "/etc/shadow"):
        _set(host, path, user.user, None)
    for entry in list(accounts.groups(host).values()):
        if user.user in entry.members:
            _set_group(host, entry._replace(members=tuple(each for each in entry.members if each != user.user)))
    own = accounts.groups(host).get(user.user)
    others = {each.gid for each in accounts.users(host).values()}
    if old is not None and own is not None and own.gid == old.gid and not own.members and own.gid not in others:
        _set(host, "/etc/group", user.user, None)
    if user.remove_home and old is not None:
        host.remove_tree(old.home)
        host.remove(f"/var/mail/{user.user}")


def _shadow(host: Overlay, user: User) -> None:
    """The password, its lock and the day of expiry, as days since 1970."""
    import calendar
    import time

    old = accounts.shadow(host, user.user)
    password = user.password_hash or old.password or "!"
    locked = user.locked if user.locked is not None else password.startswith("!")
    password = ("!" if locked else "") + password.lstrip("!")
    expires = old.expires if user.expires is None else user.expires
    day = calendar.timegm(time.strptime(expires, "%Y-%m-%d")) // 86400 if expires else ""
    _set(host, "/etc/shadow", user.user, f"{user.user}:{password}::0:99999:7::{day}:")


def _make_home(host: Overlay, home: str, uid: int, gid: int) -> None:
    """With what /etc/skel has, as `useradd --create-home` copies it."""
    settings = (host.read("/etc/login.defs") or b"").decode("utf-8", "replace")
    mode = re.search(r"^HOME_MODE\s+([0-7]+)", settings, re.MULTILINE)
    umask = re.search(r"^UMASK\s+([0-7]+)", settings, re.MULTILINE)
    bits = int(mode.group(1), 8) if mode else 0o777 & ~int(umask.group(1) if umask else "022", 8)
    host.put(home, Node("directory", f"{bits:04o}", uid, gid))
    for name in host.listing(SKELETON):
        status = host.status(f"{SKELETON}/{name}")
        if status is not None and status.kind == "file":
            content = host.read(f"{SKELETON}/{name}") or b""
            host.put(f"{home}/{name}", Node("file", status.mode, uid, gid, functools.partial(bytes, content)))


def _set_group(host: Overlay, entry: accounts.GroupEntry) -> None:
    _set(host, "/etc/group", entry.name, f"{entry.name}:x:{entry.gid}:{','.join(entry.members)}")


def _set(host: Overlay, path: str, name: str, line: Optional[str]) -> None:
    host.edit(path, functools.partial(accounts.with_line, name=name, line=line))
