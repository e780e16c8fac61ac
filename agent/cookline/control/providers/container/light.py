"""A host without systemd: sshd alone in namespaces of its own, chrooted to its overlay. A machine has room for hundreds.

There are no services, no apt repository and no resident agent; files, commands and releases are as everywhere.
"""

from __future__ import annotations

from cookline.control.providers.container.machine import SHUTDOWN_SECONDS, Machine
from cookline.control.providers.container.requirements import run

# In the host's own mount namespace: what sshd and Python look at, and nothing of this machine's files.
BOOT = """\
root=$1
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=16m tmpfs "$root/run"
mkdir -m 755 "$root/run/sshd"
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
for node in null zero full random urandom tty; do : > "$root/dev/$node"; mount --bind /dev/$node "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -m 1777 "$root/dev/shm"
hostname "$2"
exec chroot "$root" /usr/sbin/sshd -D -e
"""

# The groups are joined before anything of the host runs; `exec` leaves no shell behind.
START = """\
console=$1; shift
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done
shift
exec "$@" > "$console" 2>&1 < /dev/null
"""


class LightMachine(Machine):
    def start(self) -> None:
        """Let sshd run; returns at once, see wait_ready."""
        self.group.make()
        self.console.write_text("")
        groups = [str(directory) for directory in self.group.directories]
        own = ["ip", "netns", "exec", self.label, "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        boot = ["sh", "-e", "-c", BOOT, f"cookline-{self.label}", str(self.root), self.record.hostname]
        run("setsid", "--fork", "sh", "-c", START, f"cookline-{self.label}", str(self.console), *groups, "--", *own, *boot)

    def prepare_packages(self) -> None:
        """A light host has no repository to install from."""

    @property
    def booted(self) -> bool:
        return "Server listening" in self.console.read_text(errors="replace")

    def power_off(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Nothing on the host is to be asked first."""
        self.group.kill()

    def reboot(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """End everything and begin anew; what stood in memory file systems is gone."""
        before = self.group.leader()
        self.group.kill()
        self.start()
        self.wait_rebooted(before, seconds)
