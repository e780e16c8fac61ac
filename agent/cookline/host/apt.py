"""Installing and removing through apt: keeps conffiles, never asks, waits for dpkg's lock, mends what was interrupted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List, Optional, Sequence

from cookline.errors import CommandError, ResourceError, did_you_mean
from cookline.host import dpkg
from cookline.host.system import Completed, System

if TYPE_CHECKING:
    from cookline.host.resources.package import Package

# Keep the conffiles that stand, never ask (DESIGN section 4, step 8).
CONFFILES = ("--force-confdef", "--force-confold")
# The lock's timeout is for one that is taken between our own look at it and apt's.
APT_OPTIONS = (*(f"Dpkg::Options::={flag}" for flag in CONFFILES), f"DPkg::Lock::Timeout={dpkg.LOCK_WAIT:.0f}")
APT = ("apt-get", "-y", "-q", *(word for option in APT_OPTIONS for word in ("-o", option)))
# What apt-get says of a name or version that its lists do not have.
NOT_FOUND = re.compile(
    r"Unable to locate package (?P<a>\S+)|Package '?(?P<b>[^' ]+)'? has no installation candidate"
    r"|Version '[^']*' for '(?P<c>[^']+)' was not found|Couldn't find any package by (?:glob|regex) '(?P<d>[^']+)'"
)
STALE = re.compile(r"Failed to fetch|404 +Not Found|Hash Sum mismatch")


def installed(host: System, name: str, provided: bool) -> Optional[dpkg.Installed]:
    """What dpkg knows of the package; with `provided`, one that provides it where it is not there itself."""
    found = dpkg.status(host).find(name)
    if provided and (found is None or found.state in ("not-installed", "config-files")):
        return dpkg.status(host).provider(name)
    return found


def spellings(version: str) -> Sequence[str]:
    """How a version may be written in a recipe: in full, as apt takes it."""
    return (version,)


def change(host: System, package: Package, names: Sequence[str]) -> None:
    """Install or remove in one transaction. Raises ResourceError for names and versions that there are not."""
    dpkg.wait_for_locks(host)
    mend(host, package.timeout)
    verb = "install" if package.exists else "purge" if package.purge else "remove"
    words = [f"{name}={package.version}" if package.version else name for name in names]
    options = [] if package.recommends else ["--no-install-recommends"]
    options += ["--allow-downgrades"] if package.version else []
    options += [] if package.held is None else ["--allow-change-held-packages"]
    answer = run(host, [*options, verb, *words], package.timeout)
    if answer.status != 0 and (NOT_FOUND.search(answer.stderr) or STALE.search(answer.stderr)):
        trouble = refresh_lists(host)
        answer = run(host, [*options, verb, *words], package.timeout)
        _explain_missing(host, package, answer, trouble)
    check(answer)


def hold(host: System, names: Sequence[str], held: bool) -> None:
    """Whether upgrades leave the packages alone."""
    host.run(["apt-mark", "hold" if held else "unhold", "--", *names])


def run(host: System, words: Sequence[str], timeout: Optional[float] = None) -> Completed:
    return host.run([*APT, *words], ok=None, timeout=timeout or 3600.0)


def check(answer: Completed) -> None:
    """Raises CommandError with apt's own E: lines and what dpkg said, without the progress."""
    if answer.status == 0:
        return
    lines = [line for line in answer.stderr.splitlines() if line.startswith(("E:", "dpkg:", "Errors"))]
    raise CommandError(answer.command, answer.status, "", "\n".join(lines[-20:]) or answer.stderr[-2000:])


def mend(host: System, timeout: Optional[float] = None) -> None:
    """Finish what an interrupted dpkg left behind, as every further package would fail on it."""
    if not dpkg.interrupted(host):
        return
    host.run(["dpkg", *CONFFILES, "--configure", "-a"], ok=None)
    if dpkg.status(host).broken():
        run(host, ["--fix-broken", "install"], timeout)


def refresh_lists(host: System) -> str:
    """`apt-get update`, once a run; returns the first trouble that it reported, or the empty string."""
    if "apt-get update" not in host.known:
        dpkg.wait_for_locks(host)
        answer = host.run(["apt-get", "-q", "update"], ok=None, timeout=600.0)
        trouble = re.search(r"^[EW]: (.*)$", answer.stderr, re.MULTILINE)
        host.known["apt-get update"] = trouble.group(1) if trouble else ""
    return str(host.known["apt-get update"])


def _explain_missing(host: System, package: Package, answer: Completed, trouble: str) -> None:
    missing = NOT_FOUND.search(answer.stderr)
    if answer.status == 0 or missing is None:
        return
    name = next(group for group in missing.groups() if group)
    if package.version is not None and missing.group("c"):
        versions = re.findall(r"^ *\S+ \| *(\S+)", host.query(["apt-cache", "madison", name]).stdout, re.MULTILINE)
        known = f"it has {', '.join(versions[:5])}" if versions else "it has none"
        raise ResourceError(f"there is no version {package.version!r} of {name!r} in the package lists; {known}")
    message = f"there is no package {name!r} in the package lists of this host{did_you_mean(name, _similar(host, name))}"
    hint = f"`apt-get update` could not read them all: {trouble}" if trouble else "check the name, or add its repository before"
    raise ResourceError(message, hint=hint)


def _similar(host: System, name: str) -> List[str]:
    """Names in the lists that begin alike, of about the same length; comparing with all 60,000 takes seconds."""
    names = host.query(["apt-cache", "pkgnames", name[:1]]).stdout.split()
    return [each for each in names if abs(len(each) - len(name)) <= 2]
