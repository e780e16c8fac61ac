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
    yield from (name for name, uid in spec["users"].items() if name not in users or users[name].pw_uid != uid)
    yield from (name for name, gid in spec["groups"].items() if name not in groups or groups[name].gr_gid != gid)
    for path, mode, owner, digest in spec["files"]:
        try:
            found = os.lstat(path)
        except OSError:
            yield path
            continue
        wrong = stat.S_IMODE(found.st_mode) != int(mode, 8) or found.st_uid != users[owner].pw_uid
        if digest and not wrong:
            with open(path, "rb") as file:
                wrong = hashlib.sha256(file.read()).hexdigest() != digest
        if wrong:
            yield path
    yield from (path for path, target in spec["links"] if os.readlink(path) != target)
    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        status = file.read()
    yield from (name for name in spec["packages"] if f"Package: {name}\nStatus: install ok installed" not in status)
    wants = "/etc/systemd/system/multi-user.target.wants/"
    yield from (name for name in spec["services"] if not os.path.islink(f"{wants}{name}.service"))


spec = json.loads(sys.stdin.readline())
print(json.dumps(list(differences(spec))), flush=True)
