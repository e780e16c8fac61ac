"""The least that a run could be: one spec on standard input, every resource compared in process, one line of answer.

Runs on the host as `python3 floor_agent.py`; no recipe, no template, no journal, no lock, no report.
"""

import grp
import hashlib
import json
import os
import pwd
import stat
import sys


def differences(spec):
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    groups = {entry.gr_name: entry for entry in grp.getgrall()}
    for name, wanted in spec["users"].items():
        if name not in users or [users[name].pw_uid, users[name].pw_dir, users[name].pw_shell] != wanted:
            yield name
    yield from (name for name, gid in spec["groups"].items() if name not in groups or groups[name].gr_gid != gid)
    for path, mode, owner, group, digest in spec["files"]:
        if not is_right(path, int(mode, 8), (users.get(owner), groups.get(group)), digest):
            yield path
    yield from (path for path, target in spec["links"] if not os.path.islink(path) or os.readlink(path) != target)
    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        status = file.read()
    yield from (name for name in spec["packages"] if f"Package: {name}\nStatus: install ok installed" not in status)
    for name in spec["services"]:
        enabled = os.path.islink(f"/etc/systemd/system/multi-user.target.wants/{name}.service")
        # systemd keeps this link for a unit that is up
        if not (enabled and os.path.lexists(f"/run/systemd/units/invocation:{name}.service")):
            yield name


def is_right(path, mode, owners, digest):
    try:
        found = os.lstat(path)
    except OSError:
        return False
    user, group = owners
    if user is None or group is None or (found.st_uid, found.st_gid) != (user.pw_uid, group.gr_gid):
        return False
    if stat.S_IMODE(found.st_mode) != mode:
        return False
    if digest is None:
        return stat.S_ISDIR(found.st_mode)
    with open(path, "rb") as file:
        return hashlib.sha256(file.read().rstrip()).hexdigest() == digest


spec = json.loads(sys.stdin.readline())
print(json.dumps(list(differences(spec))), flush=True)
