"""What the last runs declared on this host: the list that drift is measured against.

    {"declarations": {"File[/etc/motd]": {"kind", "module", "cookbook", "declaration", "desired", "paths", "recipe", "line",
                                          "run", "event", "app"}},
     "secrets": [values that findings must not show], "written": epoch seconds}

Written at the end of a run (`record_run`), read by the resident agent. It holds contents of files by hash only, but fields of
every kind in clear, so it is root's alone (0600).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence

from cookline.errors import HostStateError
from cookline.host import paths
from cookline.protocol import content_hash

# Beside the inventory: what the last run declared, as a hash.
KEY_SUFFIX = ".key"

Entry = Dict[str, Any]
Inventory = Dict[str, Any]


def read(path: Optional[str] = None) -> Inventory:
    """The inventory; an empty one when no run has written any yet. Raises HostStateError when it is broken."""
    try:
        with open(path or paths.INVENTORY, "rb") as file:
            inventory = json.loads(file.read())
        if not all(isinstance(entry, dict) for entry in inventory["declarations"].values()):
            raise ValueError("an entry is not a mapping")
    except FileNotFoundError:
        return {"declarations": {}, "secrets": [], "written": 0}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostStateError(
            f"the inventory {path or paths.INVENTORY} cannot be read ({error}), so drift is not known",
            hint="the next setup of this host writes a new one",
        ) from None
    return {"secrets": [], "written": 0, **inventory}


def write(inventory: Mapping[str, Any], path: Optional[str] = None) -> None:
    """Put the inventory in place atomically, 0600, with the time of now."""
    content = json.dumps({**inventory, "written": time.time()}, separators=(",", ":"))
    paths.write_private(path or paths.INVENTORY, content.encode())


def record_run(
    run: str,
    event: str,
    executed_recipes: Iterable[str],
    declarations: Mapping[str, Entry],
    *,
    app: Optional[str] = None,
    secrets: Sequence[str] = (),
    quiet: bool = False,
    path: Optional[str] = None,
) -> None:
    """Take over what a run declared.

    `executed_recipes` are those of a run that ended well, and empty for one that did not: what it declared before it failed is
    taken over, what it did not reach stays. After a run that ended well these are no longer declared, for the same app:
    what one of its recipes declared before and not now; what earlier runs of the same lifecycle event declared by recipes that
    are not in the event's list any more; after an undeploy, what deploys declared.

    `quiet`: the run changed nothing. When it declared what the run before it did, the inventory is left as it is (and names
    that run), so that the agent has nothing to read again; unless the agent has findings, which it looks at again then.
    """
    place, executed = path or paths.INVENTORY, set(executed_recipes)
    key = content_hash(json.dumps([event, app, sorted(executed), declarations, sorted(secrets)]).encode())
    if quiet and _last_key(place) == key and not _has_findings(place):
        return
    try:
        inventory = read(path)
    except HostStateError:
        inventory = {"declarations": {}, "secrets": []}
    kept = {
        name: entry
        for name, entry in inventory["declarations"].items()
        if not executed or entry.get("app") != app or not _is_over(entry, event, executed)
    }
    kept.update({name: {**entry, "run": run, "event": event, "app": app} for name, entry in declarations.items()})
    write({"declarations": kept, "secrets": sorted({*inventory["secrets"], *secrets})}, path)
    paths.write_private(place + KEY_SUFFIX, f"{key} {_stamp(place)}".encode())


def _last_key(place: str) -> Optional[str]:
    """The key of the run that wrote the inventory; None when another has written it since."""
    with contextlib.suppress(OSError, ValueError), open(place + KEY_SUFFIX) as file:
        key, stamp = file.read().split()
        return key if stamp == _stamp(place) else None
    return None


def _stamp(place: str) -> str:
    found = os.stat(place)
    return f"{found.st_ino}.{found.st_mtime_ns}.{found.st_size}"


def _has_findings(place: str) -> bool:
    with contextlib.suppress(FileNotFoundError), open(f"{os.path.dirname(place)}/findings.json", "rb") as file:
        return not file.read(15).startswith(b'{"findings":{},')
    return False


def _is_over(entry: Entry, event: str, executed: Collection[Any]) -> bool:
    """Whether a run of `event` that ended well, and declares it no more, ends an earlier declaration."""
    if entry.get("recipe") in executed:
        return True
    if event == "undeploy":
        return entry.get("event") in ("deploy", "undeploy")
    return event != "execute_recipes" and entry.get("event") == event


def watched_paths(inventory: Inventory) -> Dict[str, List[str]]:
    """Path -> names of the declarations that a change there may concern."""
    watched: Dict[str, List[str]] = {}
    for name, entry in inventory["declarations"].items():
        for path in entry.get("paths") or ():
            watched.setdefault(path, []).append(name)
    return watched
