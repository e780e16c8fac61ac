"""Absent: nothing stands at a path."""

from __future__ import annotations

from typing import List, Optional

from cookline.errors import ResourceError, ResourceUsageError
from cookline.host import mounts
from cookline.host.foresight import CannotKnow
from cookline.host.paths import STATE_DIRECTORY
from cookline.host.resources.base import ABSENT, Changes, Resource, State, field
from cookline.host.resources.ownership import absolute_path
from cookline.host.resources.restoring import path_as_it_is
from cookline.host.system import System

# Directories of the system that no recipe means (Filesystem Hierarchy Standard 3.0); what lies in them may go.
PROTECTED = frozenset(
    """
    / /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /var
    /dev/shm /etc/apt /etc/dpkg /etc/pam.d /etc/ssh /etc/systemd /usr/bin /usr/include /usr/lib /usr/lib64 /usr/libexec
    /usr/local /usr/local/bin /usr/sbin /usr/share /var/cache /var/lib /var/lib/apt /var/lib/dpkg /var/lib/rpm
    /var/lib/systemd /var/log /var/mail /var/spool /var/tmp /run/systemd /etc/passwd /etc/shadow /etc/group /etc/gshadow
    """.split()  # noqa: SIM905
)
KERNEL = ("/proc/", "/sys/", "/dev/")


class Absent(Resource):
    """Nothing stands at the path: a file, a link (not what it points to) or a directory with all that is in it is removed.

    Refused: the system's own directories, what the kernel keeps in /proc, /sys and /dev, cookline's own files, and a directory
    that other file systems are mounted below.

    path        absolute
    backup      keep the last five contents, when it was a file

    >>> Absent("/etc/nginx/sites-enabled/default").desired()
    {'exists': False}
    """

    path: str
    backup: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._set(path=refuse_protected("Absent", absolute_path("Absent", self.path)))

    def current(self, host: System) -> State:
        status = host.status(self.path)
        if status is None and host.unforeseen(self.path):
            raise CannotKnow(f"nothing is at {self.path} yet; {host.unforeseen(self.path)} before it may bring something")
        return dict(ABSENT) if status is None else {"exists": status.kind}

    def desired(self) -> State:
        return dict(ABSENT)

    def apply(self, host: System, changes: Changes) -> None:
        status = host.status(self.path)
        if status is not None and status.kind == "directory":
            remove_tree(host, self.path)
        elif status is not None:
            if self.backup and status.kind == "file":
                host.keep_backup(self.path)
            host.remove(self.path)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """A file, a link or an empty directory comes back; a tree does not."""
        return None if host.listing(self.path) and host.link_target(self.path) is None else path_as_it_is(host, self.path)

    def below(self) -> Optional[str]:
        return self.path

    def watched_paths(self) -> List[str]:
        return [self.path]


def refuse_protected(kind: str, path: str) -> str:
    """The path. Raises ResourceUsageError for one whose removal would take the system with it."""
    inside = f"{path}/"
    if path in PROTECTED or inside.startswith(KERNEL):
        raise ResourceUsageError(f"{kind} does not remove {path}, which the system needs")
    if f"{STATE_DIRECTORY}/".startswith(inside) or inside.startswith(f"{STATE_DIRECTORY}/"):
        raise ResourceUsageError(f"{kind} does not remove {path}, where cookline keeps its own files")
    return path


def remove_tree(host: System, path: str) -> None:
    """Remove a directory with all that is in it. Raises ResourceError when it leads to the system or another file system."""
    real = host.real_path(path)
    try:
        refuse_protected("cookline", real)
    except ResourceUsageError as error:
        raise ResourceError(error.message) from None
    mounted = next((each for each in mounts.points(host) if f"{each}/".startswith(f"{real}/")), None)
    if mounted is not None:
        raise ResourceError(f"{path} is not removed, as something is mounted on {mounted}", hint=f"umount {mounted}")
    host.remove_tree(path)
