"""What Chef and others call a field, and what it is here: for the error of an author who comes from there."""

from __future__ import annotations

from typing import Dict, Optional

OUTCOME = "node.ensure takes what is to be done after a change: later=Restart('nginx') or now=Restart('nginx')"
STATE = "a resource declares a state, as exists=False, running=True or enabled=True"
FIELDS: Dict[str, Dict[str, str]] = {
    "": {"notifies": OUTCOME, "subscribes": OUTCOME, "later": OUTCOME, "now": OUTCOME, "action": STATE, "state": STATE},
    "Archive": {"destination": "path", "extract_to": "path", "strip_components": "strip", "src": "source"},
    "CookbookFile": {"cookbook": "source='COOKBOOK:NAME'"},
    "Cron": {"mailto": "environment={'MAILTO': ..}", "time": "minute, hour, day, month and weekday"},
    "Directory": {"recurse": "parents or recursive"},
    "Execute": {"cmd": "command", "chdir": "cwd", "env": "environment", "unless": "not_if", "onlyif": "only_if"},
    "File": {
        "source": "CookbookFile or RemoteFile",
        "force": "Absent before it",
    },
    "Git": {"destination": "path", "enable_submodules": "submodules", "version": "revision", "branch": "revision"},
    "Group": {"append": "User(.., groups=[..]), which leaves others in it"},
    "HttpRequest": {"message": "body"},
    "Link": {"target": "to", "source": "to", "src": "to", "target_file": "path"},
    "Mount": {"device_type": "device", "fstype": "type", "mount_point": "point", "pass": "check_order"},
    "Package": {"package_name": "names", "name": "names"},
    "RemoteDirectory": {
        "files_mode": "mode",
        "files_owner": "owner",
        "files_group": "group",
    },
    "RemoteFile": {"source": "url", "checksum": "sha256"},
    "Service": {"service_name": "unit", "name": "unit", "started": "running"},
    "Sudoers": {"user": "users", "group": "groups"},
    "Template": {"variables": "values", "context": "values", "cookbook": "source='COOKBOOK:NAME'"},
    "User": {"password": "password_hash", "manage_home": "create_home", "gid": "group", "username": "user", "name": "user"},
}


def known_as(kind: str, word: str) -> Optional[str]:
    """ "; it is called `values` here" for a word that another tool has for something of this kind; None for other words."""
    if word in FIELDS.get(kind, {}):
        here = FIELDS[kind][word]
        return f"; it is called `{here}` here" if here.isidentifier() else f"; what does it here: {here}"
    return f"; {FIELDS[''][word]}" if word in FIELDS[""] else None
