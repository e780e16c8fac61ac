"""systemd's units: one query for all that are loaded, links on disk for what is enabled, and systemctl for changes."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Set

from cookline.errors import CommandError, ResourceError, did_you_mean
from cookline.host import dbus
from cookline.host.system import System

# Where unit files lie, the strongest first; systemd's own compiled-in list of Debian.
UNIT_PATHS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
)
STARTING = ("start", "restart", "reload-or-restart")
LINK_PATHS = ("/etc/systemd/system", "/run/systemd/system")
LISTED = "units were listed"
SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target", ".slice", ".automount", ".swap", ".scope", ".device")


class Unit(NamedTuple):
    """A loaded unit: load state (loaded, not-found, masked), active state (active, failed, ..), sub state (running, ..)."""

    name: str
    load: str
    active: str
    sub: str
    path: str

    @property
    def running(self) -> bool:
        """Up, or on its way up; a service that systemd restarts again and again is not."""
        return self.active in ("active", "reloading") or (self.active == "activating" and self.sub != "auto-restart")


def full_name(name: str) -> str:
    """ "nginx" -> "nginx.service"; names with a unit suffix stay."""
    return name if name.endswith(SUFFIXES) else f"{name}.service"


def _manager(host: System, member: str, signature: str = "", *arguments: Any) -> List[Any]:
    with host.open_door():
        return dbus.call(dbus.SYSTEMD_PATH, dbus.MANAGER, member, signature, *arguments)


def loaded(host: System) -> Dict[str, Unit]:
    """All units that systemd has in memory, by name."""
    return host.remember("units", lambda: _loaded(host))  # type: ignore[no-any-return]


def in_memory(host: System, name: str) -> Optional[Unit]:
    """The unit, if systemd has it in memory. All are listed once; after each change only the one that is asked for."""
    if "units" in host.known or LISTED not in host.known:
        return loaded(host).get(name)
    unit: Optional[Unit] = host.remember(f"unit {name}", lambda: _matching(host, name).get(name))
    return unit


def forget(host: System) -> None:
    """Ask systemd anew for what it may have done by itself since."""
    host.forget("units", *[name for name in host.known if name.startswith("unit ")])


def _matching(host: System, name: str) -> Dict[str, Unit]:
    pattern = name.replace("\\", "\\\\")  # a pattern of fnmatch(3); units' names have \x2d for a - and no wildcards
    (rows,) = _manager(host, "ListUnitsByPatterns", "asas", [], [pattern])
    return _units(rows)


def _units(rows: List[Any]) -> Dict[str, Unit]:
    return {row[0]: Unit(row[0], row[2], row[3], row[4], row[6]) for row in rows}


def _loaded(host: System) -> Dict[str, Unit]:
    if host.has_bus():
        host.known[LISTED] = True
        return _units(_manager(host, "ListUnits")[0])
    answer = host.query(["systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager"])
    rows = [line.split(None, 4) for line in answer.stdout.splitlines()]
    return {row[0]: Unit(row[0], row[1], row[2], row[3], "") for row in rows if len(row) >= 4}


def real_name(host: System, name: str) -> str:
    """The unit's own name where `name` is an alias, as sshd.service is of ssh.service on Debian."""
    if in_memory(host, name) is not None:
        return name
    target = os.path.basename(os.path.realpath(unit_file(host, name) or name))
    return target if target.endswith(SUFFIXES) and "@." not in target else name


def find(host: System, name: str) -> Optional[Unit]:
    """The unit, loaded or only on disk; None when there is no such unit."""
    name = real_name(host, name)
    unit = in_memory(host, name)
    if name in host.planned_units:
        return _as_planned(name, host.planned_units[name])
    if unit is not None and unit.load != "not-found":
        return unit
    if unit_file(host, name) is None and (unit is not None or not _generated(host, name)):
        return None
    return Unit(name, "loaded", "inactive", "dead", "")


def _as_planned(name: str, running: Optional[bool]) -> Optional[Unit]:
    if running is None:
        return None
    return Unit(name, "loaded", "active" if running else "inactive", "running" if running else "dead", "")


def _generated(host: System, name: str) -> bool:
    """Whether a generator made the unit (/etc/init.d scripts, /etc/fstab); rare, so asked one by one."""
    return bool(file_state(host, name))


def unit_file(host: System, name: str) -> Optional[str]:
    """The path of the unit's file, or of its template's; None when there is none."""
    candidates = [name]
    if "@" in name:
        prefix, _, rest = name.partition("@")
        candidates.append(f"{prefix}@{rest[rest.rfind('.') :]}")
    for candidate in candidates:
        for directory in UNIT_PATHS:
            if host.status(f"{directory}/{candidate}") is not None:
                return f"{directory}/{candidate}"
    return None


def file_state(host: System, name: str) -> str:
    """systemd's own word: enabled, disabled, static, masked, generated, ..; empty for an unknown unit."""
    if host.planned_units.get(name, True) is None:
        return ""
    if not host.has_bus():
        return host.query(["systemctl", "is-enabled", name]).stdout.strip()
    try:
        return str(_manager(host, "GetUnitFileState", "s", name)[0])
    except dbus.DBusError:
        return ""


def enabled(host: System, name: str) -> bool:
    """Whether a link of `systemctl enable` stands, or a generator says so; a masked unit is not, nor one whose file is gone."""
    if masked(host, name):
        return False
    there = unit_file(host, name) is not None
    if there and real_name(host, name) in host.remember("enabled units", lambda: _enabled(host)):
        return True
    if there:
        return False
    state = file_state(host, name)
    return _starts_by_rc(host, name) if state == "generated" else state in ("enabled", "enabled-runtime")


def _starts_by_rc(host: System, name: str) -> bool:
    """Whether a script of /etc/init.d is started in a runlevel: systemd only says that it generated the unit."""
    pattern = re.compile(rf"S\d\d{re.escape(name.rpartition('.')[0])}")
    return any(pattern.fullmatch(entry) for level in "2345" for entry in host.listing(f"/etc/rc{level}.d"))


def _enabled(host: System) -> Set[str]:
    """Names in *.wants and *.requires directories, and units that have an alias."""
    names: Set[str] = set()
    for directory in LINK_PATHS:
        for entry in host.listing(directory):
            path = f"{directory}/{entry}"
            if entry.endswith((".wants", ".requires")):
                names.update(host.listing(path))
            else:
                target = os.path.basename(host.link_target(path) or entry)
                if target not in (entry, "null"):
                    names.add(target)
    return names


def masked(host: System, name: str) -> bool:
    """Whether the unit is a link to /dev/null."""
    return any(host.link_target(f"{directory}/{name}") == "/dev/null" for directory in LINK_PATHS)


def wanting_links(host: System, name: str) -> List[str]:
    """The links that `systemctl enable` would make, as the [Install] section of the unit's file says."""
    path = unit_file(host, name)
    text = (host.read(path) or b"").decode("utf-8", "replace") if path else ""
    links = []
    for key, words in re.findall(r"^\s*(WantedBy|RequiredBy|Alias)\s*=\s*(.*)$", text.partition("[Install]")[2], re.MULTILINE):
        suffix = {"WantedBy": ".wants", "RequiredBy": ".requires"}.get(key)
        links += [f"{LINK_PATHS[0]}/{word}{suffix}/{name}" if suffix else f"{LINK_PATHS[0]}/{word}" for word in words.split()]
    return links


def standing_links(host: System, name: str) -> List[str]:
    """The links that `systemctl disable` would remove."""
    found = []
    for entry in host.listing(LINK_PATHS[0]):
        path = f"{LINK_PATHS[0]}/{entry}"
        if entry.endswith((".wants", ".requires")):
            found += [f"{path}/{name}"] if name in host.listing(path) else []
        elif entry != name and os.path.basename(host.link_target(path) or "") == name:
            found.append(path)
    return found


def needs_daemon_reload(host: System, name: str) -> bool:
    """systemd's NeedDaemonReload: the unit's files are newer than what is in memory."""
    unit = in_memory(host, real_name(host, name))
    if unit is None:
        return False
    if not unit.path:
        answer = host.query(["systemctl", "show", "-p", "NeedDaemonReload", "--value", name])
        return answer.stdout.strip() == "yes"
    with host.open_door():
        interface = "org.freedesktop.systemd1.Unit"
        return bool(dbus.call(unit.path, dbus.PROPERTIES, "Get", "ss", interface, "NeedDaemonReload")[0])


def daemon_reload(host: System) -> None:
    host.run(["systemctl", "daemon-reload"])
    host.afterwards.settled("daemon-reload")


def systemctl(host: System, verb: str, name: str, *options: str, timeout: Optional[float] = None) -> None:
    """Run one verb on one unit, after a daemon-reload where one is due. Raises ResourceError with the unit's last log lines.

    After enabling and disabling, systemd reads its files once, at the end of the run: systemctl takes 0.1 s for it each time.
    """
    from cookline.host import starting

    if needs_daemon_reload(host, name):
        daemon_reload(host)
    if verb in ("enable", "disable"):
        options = (*options, "--no-reload")
        host.afterwards.at_end("daemon-reload", lambda: daemon_reload(host))
    try:
        starts = verb in STARTING or (verb == "enable" and "--now" in options)
        if starts and starting.may_go_on(host, verb, name):
            options = (*options, "--no-block")
        host.run(["systemctl", verb, *options, "--", name], timeout=timeout or 600.0)
        if starts:
            starting.watch(host, name, timeout or 600.0)
    except CommandError as error:
        if find(host, name) is None:
            raise unknown(host, name) from None
        raise ResourceError(
            f"`systemctl {verb} {name}` failed: {_why(host, name, error)}", hint=f"journalctl -u {name}"
        ) from None


def property_of(host: System, path: str, interface: str, name: str) -> Any:
    with host.open_door():
        return dbus.call(path, dbus.PROPERTIES, "Get", "ss", f"{dbus.SYSTEMD}.{interface}", name)[0]


def _why(host: System, name: str, error: CommandError) -> str:
    first = next((line for line in error.stderr.splitlines() if line.strip()), f"status {error.status}")
    return re.sub(r"\s+", " ", first) + last_words(host, name)


def last_words(host: System, name: str) -> str:
    host.query(["journalctl", "--sync"])  # what the program has just said is still on its way
    logged = host.query(["journalctl", "--no-pager", "--quiet", "-o", "cat", "-n", "8", "-u", name]).stdout.strip()
    return f"\nits last log lines:\n{logged}" if logged else ""


def unknown(host: System, name: str) -> ResourceError:
    """The error for a unit that does not exist, with the nearest one that does."""
    names = [entry for directory in UNIT_PATHS for entry in host.listing(directory) if entry.endswith(SUFFIXES)]
    return ResourceError(
        f"there is no unit {name!r} on this host{did_you_mean(name, names)}",
        hint="put the Package or SystemdUnit that brings it before",
    )
