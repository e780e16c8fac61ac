"""Updates that wait on this host, and whether one that is made needs a reboot: from apt, or from dnf."""

from __future__ import annotations

import os
import re
import time
from typing import List, NamedTuple, Optional

from cookline.errors import ResourceError
from cookline.host import apt, dnf, dpkg
from cookline.host.system import System

LISTS = "/var/lib/apt/lists"
REBOOT_REQUIRED = "/run/reboot-required"
# Inst openssl [3.0.11-1] (3.0.15-1~deb12u1 Debian:12.8/stable, Debian-Security:12/stable-security [amd64]) []
INSTALLATION = re.compile(r"^Inst (?P<name>\S+)(?: \[(?P<old>[^\]]+)\])? \((?P<new>\S+) (?P<origins>[^\[)]*)", re.MULTILINE)
# kernel.x86_64    5.14.0-427.13.1.el9_4    baseos
AVAILABLE = re.compile(r"^(?P<name>\S+)\.(?P<architecture>[a-z0-9_]+) +(?P<new>\S*\d\S*) +\S+ *$", re.MULTILINE)


class Update(NamedTuple):
    """One package that a newer version is there for; `old` is empty for one that comes new, or where nobody says."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name} {self.old} -> {self.new}" if self.old else f"{self.name} {self.new}"


def waiting(host: System, security: bool) -> List[Update]:
    """All updates, or those that come from a security archive; what is held is not among them. Raises ResourceError."""
    return _of_dnf(host, security) if dnf.is_used(host) else _of_apt(host, security)


def _of_apt(host: System, security: bool) -> List[Update]:
    return parse_apt(host.remember("updates of apt", lambda: _simulated(host)), security)


def _simulated(host: System) -> str:
    answer = host.query(["apt-get", "-q", "--simulate", "-o", "Debug::NoLocking=1", "--with-new-pkgs", "upgrade"])
    if answer.status != 0:
        apt.check(answer)
    return answer.stdout


def parse_apt(text: str, security: bool) -> List[Update]:
    """Out of what `apt-get --simulate upgrade` prints."""
    found = [
        Update(match.group("name"), match.group("old") or "", match.group("new"))
        for match in INSTALLATION.finditer(text)
        if not security or "security" in match.group("origins").lower()
    ]
    return [each for each in found if each.old or not security]


def _of_dnf(host: System, security: bool) -> List[Update]:
    answer = host.query(["dnf", "-q", "check-update", *(["--security"] if security else [])], timeout=600.0)
    if answer.status not in (0, 100):
        raise ResourceError(f"dnf cannot tell what updates there are: {answer.stderr.strip()[-2000:]}")
    return parse_dnf(answer.stdout)


def parse_dnf(text: str) -> List[Update]:
    """Out of what `dnf check-update` prints; what it says of obsoleted packages is no update."""
    return [Update(match.group("name"), "", match.group("new")) for match in AVAILABLE.finditer(text.split("\nObsoleting")[0])]


def refresh(host: System, older_than: float) -> None:
    """Read apt's lists anew when they are older than so many seconds; dnf looks after its own."""
    if dnf.is_used(host):
        return
    ages = [time.time() - found.modified for found in (host.status(LISTS), host.status(f"{LISTS}/partial")) if found]
    if ages and 0 <= min(ages) < older_than:
        return
    trouble = apt.refresh_lists(host)
    if trouble:
        raise ResourceError(f"the package lists could not be read: {trouble}", hint="apt-get update")
    if os.path.isdir(LISTS):
        with host.change("note the age of", LISTS):
            os.utime(LISTS)


def install(host: System, updates: List[str], security: bool, timeout: Optional[float]) -> None:
    """Raises CommandError with what apt or dnf said."""
    if dnf.is_used(host):
        dnf.check(
            dnf.run(host, ["upgrade", "--", *updates] if not security else ["upgrade", "--security", "--", *updates], timeout)
        )
        return
    dpkg.wait_for_locks(host)
    apt.mend(host, timeout)
    apt.check(apt.run(host, ["--only-upgrade", "install", "--", *updates], timeout))


def reboot_required(host: System) -> Optional[str]:
    """Why the host needs a reboot: packages that asked for it. None when it does not."""
    if dnf.is_used(host):
        answer = host.query(["dnf", "-q", "needs-restarting", "-r"])
        return "dnf needs-restarting" if answer.status == 1 and "required" in answer.stdout.lower() else None
    if host.status(REBOOT_REQUIRED) is None:
        return None
    packages = (host.read(REBOOT_REQUIRED + ".pkgs") or b"").decode("utf-8", "replace").split()
    return ", ".join(sorted(set(packages))) or "a package"
