"""Hosts whose records are gone: somebody has removed the project's directory while they ran, and made it anew."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from cookline.control.providers.container import cgroup
from cookline.control.providers.container.network import Network
from cookline.control.providers.container.project import Project
from cookline.control.providers.container.requirements import run
from cookline.errors import CommandError

# /proc/self/mounts writes a blank and its like in octal
OCTAL = re.compile(r"\\([0-7]{3})")


def orphans(project: Project) -> list[str]:
    """The labels that the kernel knows of this project and that no record has."""
    known = {project.label(record) for name in project.names() if (record := project.find(name))}
    prefix = f"ck{project.identifier}-"
    found = {path.name for place in (cgroup.parent(), Path("/run/netns")) for path in place.glob(f"{prefix}*")}
    found |= {device for device, _ in _mounts() if device.startswith(prefix)}
    return sorted(found - known)


def remove(label: str, network: Network) -> None:
    """Leave nothing of the host called `label` by the kernel."""
    group = cgroup.ControlGroup(label)
    group.kill()
    for device, place in _mounts():
        if device == label:
            with contextlib.suppress(CommandError):
                run("umount", "--lazy", place)
    group.remove()
    network.release(label)
    with contextlib.suppress(OSError):
        Path("/run/systemd/nspawn/propagate", label).rmdir()


def _mounts() -> list[tuple[str, str]]:
    """(device, place) of each mount, the last one first."""
    lines = [line.split()[:2] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [(device, OCTAL.sub(lambda match: chr(int(match[1], 8)), place)) for device, place in reversed(lines)]
