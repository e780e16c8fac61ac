"""Package: Debian packages, through apt."""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

from cookline.errors import CommandError, ResourceError, ResourceUsageError, did_you_mean
from cookline.host import dpkg
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import Completed, System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?")
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


class Package(Resource):
    """One package, or several in one transaction.

    names       a name ("nginx", "libc6:arm64"), or a list of them
    version     an exact version or a pattern ("1.22.*"); only with one name
    recommends  False leaves out what a package only recommends
    purge       with exists=False, remove the configuration files too
    exists      False removes the packages

    The package lists are read anew (`apt-get update`) at most once a run, and only when a package is not found in them.
    Waits 120 s for another package manager; configuration files that were changed by hand are kept; a dpkg that was
    interrupted is mended.

    >>> Package("nginx")
    Package('nginx')
    >>> Package(["haproxy", "curl"]).desired()
    {'haproxy': 'installed', 'curl': 'installed'}
    >>> Package("telnet", exists=False).desired()
    {'telnet': 'absent'}
    """

    names: Union[str, Sequence[str]]
    version: Optional[str] = field(default=None, kw_only=True)
    recommends: bool = field(default=True, kw_only=True)
    purge: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        wrong = next((name for name in names if not isinstance(name, str) or not NAME.fullmatch(name)), None)
        if wrong is not None or not names:
            raise ResourceUsageError(f"Package needs names of packages, not {wrong!r}" if names else "Package needs a name")
        if self.version is not None and len(names) != 1:
            raise ResourceUsageError("Package takes a version only with one name")
        self._set(names=names[0] if len(names) == 1 else names)

    @property
    def all_names(self) -> Tuple[str, ...]:
        return (self.names,) if isinstance(self.names, str) else tuple(self.names)

    def current(self, host: System) -> State:
        status = dpkg.status(host)
        return {name: self._state(status, name) for name in self.all_names}

    def _state(self, status: dpkg.Status, name: str) -> str:
        """installed, a version when one is managed, absent, or dpkg's word for something in between."""
        found = status.find(name)
        if self.exists and (found is None or found.state in ("not-installed", "config-files")):
            found = status.provider(name)
        if found is None or found.state == "not-installed":
            return "absent"
        if found.state == "config-files":
            return "config-files" if self.purge and not self.exists else "absent"
        if found.state != "installed" or self.version is None:
            return found.state
        return self.version if fnmatch.fnmatchcase(found.version, self.version) else found.version

    def desired(self) -> State:
        wanted = (self.version or "installed") if self.exists else "absent"
        return dict.fromkeys(self.all_names, wanted)

    def apply(self, host: System, changes: Changes) -> None:
        dpkg.wait_for_locks(host)
        self._mend(host)
        verb = "install" if self.exists else "purge" if self.purge else "remove"
        names = [f"{name}={self.version}" if self.version else name for name in changes]
        options = [] if self.recommends else ["--no-install-recommends"]
        options += ["--allow-downgrades"] if self.version else []
        answer = self._apt(host, [*options, verb, *names])
        if answer.status != 0 and (NOT_FOUND.search(answer.stderr) or STALE.search(answer.stderr)):
            trouble = refresh_lists(host)
            answer = self._apt(host, [*options, verb, *names])
            self._explain_missing(host, answer, trouble)
        if answer.status != 0:
            raise CommandError(answer.command, answer.status, "", _errors(answer))

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """Packages that were not there go; one whose version changes, or that goes, comes back as it was. Data that a purge
        removes does not."""
        status = dpkg.status(host)
        found = {name: status.find(name) for name in changes}
        if all(each is None or each.state in ("not-installed", "config-files") for each in found.values()):
            return Package(list(changes), exists=False)
        if len(found) != 1 or self.purge:
            return None
        ((name, before),) = found.items()
        return Package(name, version=before.version) if before is not None else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        """dpkg's status afterwards, and the files of packages whose archives are at hand; their scripts may do more."""
        from cookline.host import deb

        stanza = "Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: all"
        for name in changes:
            added = stanza.format(name=name, version=self.version or "planned") if self.exists else ""
            host.edit(dpkg.STATUS, functools.partial(dpkg.with_stanza, name=name, stanza=added))
        if self.exists:
            for name, archive in deb.archives(host, list(changes)).items():
                host.bring(name, deb.entries(host, archive))
        host.cannot_foresee(self.name)

    def _apt(self, host: System, words: Sequence[str]) -> Completed:
        return host.run([*APT, *words], ok=None, timeout=self.timeout or 3600.0)

    def _mend(self, host: System) -> None:
        """Finish what an interrupted dpkg left behind, as every further package would fail on it."""
        if not dpkg.interrupted(host):
            return
        host.run(["dpkg", *CONFFILES, "--configure", "-a"], ok=None)
        if dpkg.status(host).broken():
            self._apt(host, ["--fix-broken", "install"])

    def _explain_missing(self, host: System, answer: Completed, trouble: str) -> None:
        missing = NOT_FOUND.search(answer.stderr)
        if answer.status == 0 or missing is None:
            return
        name = next(group for group in missing.groups() if group)
        if self.version is not None and missing.group("c"):
            versions = re.findall(r"^ *\S+ \| *(\S+)", host.query(["apt-cache", "madison", name]).stdout, re.MULTILINE)
            known = f"it has {', '.join(versions[:5])}" if versions else "it has none"
            raise ResourceError(f"there is no version {self.version!r} of {name!r} in the package lists; {known}")
        message = f"there is no package {name!r} in the package lists of this host{did_you_mean(name, _similar(host, name))}"
        hint = (
            f"`apt-get update` could not read them all: {trouble}"
            if trouble
            else "check the name, or add its repository before"
        )
        raise ResourceError(message, hint=hint)

    def watched_paths(self) -> List[str]:
        return [dpkg.STATUS]

    def declaration(self) -> Any:
        return {name: getattr(self, name) for name in ("names", "version", "purge", "exists")}


def refresh_lists(host: System) -> str:
    """`apt-get update`, once a run; returns the first trouble that it reported, or the empty string."""
    if "apt-get update" not in host.known:
        dpkg.wait_for_locks(host)
        answer = host.run(["apt-get", "-q", "update"], ok=None, timeout=600.0)
        trouble = re.search(r"^[EW]: (.*)$", answer.stderr, re.MULTILINE)
        host.known["apt-get update"] = trouble.group(1) if trouble else ""
    return str(host.known["apt-get update"])


def _similar(host: System, name: str) -> List[str]:
    """Names in the lists that begin alike, of about the same length; comparing with all 60,000 takes seconds."""
    names = host.query(["apt-cache", "pkgnames", name[:1]]).stdout.split()
    return [each for each in names if abs(len(each) - len(name)) <= 2]


def _errors(answer: Completed) -> str:
    """apt's own E: lines and what dpkg said, without the progress."""
    lines = [line for line in answer.stderr.splitlines() if line.startswith(("E:", "dpkg:", "Errors"))]
    return "\n".join(lines[-20:]) or answer.stderr[-2000:]
