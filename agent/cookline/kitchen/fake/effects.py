"""What each kind of resource does to a fake host. No `apply` is called: it would ask programs that are not there."""

from __future__ import annotations

from typing import Any

from cookline.host import accounts, units
from cookline.host.resources.absent import Absent
from cookline.host.resources.base import Resource
from cookline.host.resources.directory import Directory
from cookline.host.resources.edited_file import EditedFile
from cookline.host.resources.execute import Execute
from cookline.host.resources.file_backed import FileBacked
from cookline.host.resources.group import Group
from cookline.host.resources.link import Link
from cookline.host.resources.managed_file import ManagedFile
from cookline.host.resources.package import Package
from cookline.host.resources.remote_file import RemoteFile
from cookline.host.resources.service import Service
from cookline.host.resources.systemd_unit import SystemdUnit
from cookline.host.resources.user import User
from cookline.kitchen.fake.system import FakeSystem


def carry_out(resource: Resource, host: FakeSystem) -> bool:
    """Leave the host as the resource would. False for kinds that only their own code knows, which then count as done.

    Raises ResourceError for what a real host would refuse: an unknown owner, unit or directory.
    """
    if isinstance(resource, SystemdUnit):
        _systemd_unit(resource, host)
    elif isinstance(resource, FileBacked):
        _file(resource.file(), host)
    elif isinstance(resource, ManagedFile) and not isinstance(resource, RemoteFile):
        _file(resource, host)
    elif isinstance(resource, Directory):
        _directory(resource, host)
    elif isinstance(resource, Link):
        host.make_link(resource.path, str(resource.to)) if resource.exists else host.remove(resource.path)
    elif isinstance(resource, Package):
        _package(resource, host)
    elif isinstance(resource, User):
        _user(resource, host)
    elif isinstance(resource, Group):
        _group(resource, host)
    elif isinstance(resource, Service):
        _service(resource, host)
    elif isinstance(resource, EditedFile) and (resource.create or host.read(resource.path) is not None):
        host.write(resource.path, resource.edited_bytes(host.read(resource.path) or b""))
    elif isinstance(resource, Absent):
        resource.apply(host, {})
    else:
        if isinstance(resource, Execute):
            host.run(resource.command if isinstance(resource.command, str) else list(resource.command), ok=resource.returns)
        host.brought.append(resource.name)
        return False
    return True


def _owner(resource: Any, host: FakeSystem) -> tuple[int | None, int | None]:
    """uid and gid; an unknown name is taken for one that a package has brought, where there was one."""
    for name, known, add in ((resource.owner, host.users, host.add_user), (resource.group, host.groups, _add_group(host))):
        if isinstance(name, str) and name not in known and host.brought:
            add(name)
    uid = None if resource.owner is None else _number(resource.owner, host.users, "user")
    gid = None if resource.group is None else _number(resource.group, host.groups, "group")
    return uid, gid


def _number(name: str | int, known: Any, word: str) -> int:
    from cookline.errors import ResourceError, did_you_mean

    if isinstance(name, int):
        return name
    if name not in known:
        hint = f"put a {word.capitalize()}({name!r}) before"
        raise ResourceError(f"there is no {word} {name!r} on this host{did_you_mean(name, known)}", hint=hint)
    entry = known[name]
    return int(entry.uid if word == "user" else entry.gid)


def _add_group(host: FakeSystem) -> Any:
    def add(name: str, gid: int | None = None) -> None:
        number = gid or max((each.gid for each in host.groups.values() if each.gid < 999), default=99) + 1
        host.groups[name] = accounts.GroupEntry(name, number, ())

    return add


def _file(file: ManagedFile, host: FakeSystem) -> None:
    if not file.exists:
        host.remove(file.path)
        return
    uid, gid = _owner(file, host)
    content = host.read(file.path) if file.content_sha256 is None else file.content_bytes()
    host.write(file.path, content or b"", mode=file.mode, uid=uid, gid=gid)


def _systemd_unit(unit: SystemdUnit, host: FakeSystem) -> None:
    _file(unit.file(), host)
    if unit.exists:
        host.units.setdefault(unit.unit, units.Unit(unit.unit, "loaded", "inactive", "dead", ""))
    else:
        host.units.pop(unit.unit, None)
        host.enabled.pop(unit.unit, None)


def _directory(directory: Directory, host: FakeSystem) -> None:
    if not directory.exists:
        host.remove_tree(directory.path)
        return
    uid, gid = _owner(directory, host)
    if host.status(directory.path) is None:
        host.make_directory(directory.path, mode=directory.mode or "0755", parents=directory.parents)
    elif directory.mode:
        host.change_mode(directory.path, directory.mode)
    host.change_owner(directory.path, -1 if uid is None else uid, -1 if gid is None else gid)


def _package(package: Package, host: FakeSystem) -> None:
    for name in package.all_names:
        if package.exists:
            host.versions[name.partition(":")[0]] = (package.version or "1.0").replace("*", "0")
            host.brought.append(package.name)
        else:
            host.versions.pop(name, None)


def _user(user: User, host: FakeSystem) -> None:
    if not user.exists:
        host.users.pop(user.user, None)
        return
    host.add_user(user.user, **{name: getattr(user, name) for name in ("uid", "comment", "home", "shell")})
    for name in user.groups or ():
        if name not in host.groups:
            _number(name, host.groups, "group") if not host.brought else _add_group(host)(name)
        entry = host.groups[name]
        host.groups[name] = entry._replace(members=tuple(dict.fromkeys([*entry.members, user.user])))


def _group(group: Group, host: FakeSystem) -> None:
    if not group.exists:
        host.groups.pop(group.group, None)
        return
    if group.group not in host.groups:
        _add_group(host)(group.group, group.gid)
    entry = host.groups[group.group]
    members = entry.members if group.members is None else tuple(group.members)
    host.groups[group.group] = entry._replace(gid=group.gid or entry.gid, members=members)


def _service(service: Service, host: FakeSystem) -> None:
    name = service.unit_name
    known = name in host.units or units.unit_file(host, name) is not None
    if not known and not host.brought and (service.running or service.enabled):
        raise units.unknown(host, name)
    if service.running is not None or not known:
        host.set_unit(name, bool(service.running))
    if service.enabled is not None:
        host.enabled[name] = service.enabled
