"""What this machine must grant before containers boot, and what it gets back after the last one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cookline.control.providers.container import cgroup
from cookline.control.providers.container.project import machine_lock
from cookline.control.providers.container.requirements import run
from cookline.errors import CommandError


def prepare_runtime(coming: int) -> None:
    """What the machine must grant before `coming` more hosts boot.

    systemd-nspawn can only work when /run/systemd/nspawn is on a tmpfs; where /run is none, it gets one of its own.
    """
    place = Path("/run/systemd/nspawn")
    with machine_lock():
        place.mkdir(parents=True, exist_ok=True)
        if run("stat", "--file-system", "--format=%T", str(place)).strip() != "tmpfs":
            run("mount", "-t", "tmpfs", "-o", "mode=755", "cookline", str(place))
        _allow_watches(len([*cgroup.parent().glob("ck*")]) + coming)


def _allow_watches(hosts: int) -> None:
    """All hosts share root's inotify instances, 128 on Debian; a host at rest takes 7, half of the limit is left to others."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < 2 * 7 * hosts:
        limit.write_text(str(2 * 7 * hosts))


def release_runtime() -> None:
    """Take away the tmpfs that prepare_runtime made, once no systemd-nspawn is left on the machine."""
    place = Path("/run/systemd/nspawn")
    with machine_lock():
        ours = any(line.split()[:2] == ["cookline", str(place)] for line in Path("/proc/self/mounts").read_text().splitlines())
        if ours and not _nspawn_runs():
            with contextlib.suppress(CommandError):
                run("umount", str(place))


def _nspawn_runs() -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == "systemd-nspawn":
                return True
    return False
