"""Package: packages of the system, through apt or dnf."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple, Union

from cookline.errors import ResourceUsageError
from cookline.host import apt, dnf, dpkg
from cookline.host.resources.base import Changes, Resource, State, field
from cookline.host.system import System

if TYPE_CHECKING:
    from cookline.host.overlay import Overlay

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]+(?::[a-z0-9-]+)?")
# Where packages put nothing of their own (Debian Policy 9.1, FHS 3.0): a plan need not fear what their scripts do there.
SPARED = ("/srv", "/home", "/usr/local", "/mnt", "/media", "/root")
# How the field is named that says whether a package is held.
HELD = "{}: held"


class Package(Resource):
    """One package, or several in one transaction.

    names       a name ("nginx", "libc6:arm64"), or a list of them
    version     an exact version or a pattern ("1.22.*"); only with one name
    recommends  False leaves out what a package only recommends
    held        True: upgrades leave the packages alone (`apt-mark hold`, `dnf versionlock`); False: they do not; None leaves it
    purge       with exists=False, remove the configuration files too; dnf always does, but for those that were changed
    exists      False removes the packages

    Debian and Ubuntu by apt, the RHEL family by dnf. apt's lists are read anew (`apt-get update`) at most once a run, and only
    when a package is not found in them. Waits 120 s for another package manager; configuration files that were changed by
    hand are kept; a dpkg that was interrupted is mended.

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
    held: Optional[bool] = field(default=None, kw_only=True)
    purge: bool = field(default=False, kw_only=True)
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        wrong = next((name for name in names if not isinstance(name, str) or not NAME.fullmatch(name)), None)
        if wrong is not None or not names:
            raise ResourceUsageError(f"Package needs names of packages, not {wrong!r}" if names else "Package needs a name")
        if self.version is not None and len(names) != 1:
            raise ResourceUsageError("Package takes a version only with one name")
        if self.held and not self.exists:
            raise ResourceUsageError("Package cannot hold what it removes")
        self._set(names=names[0] if len(names) == 1 else names)

    @property
    def all_names(self) -> Tuple[str, ...]:
        return (self.names,) if isinstance(self.names, str) else tuple(self.names)

    def current(self, host: System) -> State:
        manager = dnf if dnf.is_used(host) else apt
        state: State = {}
        for name in self.all_names:
            found = manager.installed(host, name, self.exists)
            state[name] = self._state(found, manager.spellings)
            if self.held is not None:
                state[HELD.format(name)] = found is not None and found.held
        return state

    def _state(self, found: Optional[dpkg.Installed], spellings: Callable[[str], Sequence[str]]) -> str:
        """installed, a version when one is managed, absent, or dpkg's word for something in between."""
        if found is None or found.state == "not-installed":
            return "absent"
        if found.state == "config-files":
            return "config-files" if self.purge and not self.exists else "absent"
        if found.state != "installed" or self.version is None:
            return found.state
        return self.version if dpkg.fits(spellings(found.version), self.version) else found.version

    def desired(self) -> State:
        wanted = (self.version or "installed") if self.exists else "absent"
        state: State = dict.fromkeys(self.all_names, wanted)
        if self.held is not None and self.exists:
            state.update({HELD.format(name): self.held for name in self.all_names})
        return state

    def apply(self, host: System, changes: Changes) -> None:
        manager = dnf if dnf.is_used(host) else apt
        names = [name for name in self.all_names if name in changes]
        if names:
            manager.change(host, self, names)
        turned = [name for name in self.all_names if HELD.format(name) in changes]
        if turned and self.held is not None:
            manager.hold(host, turned, self.held)

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        """Packages that were not there go; one whose version changes, or that goes, comes back as it was. Data that a purge
        removes does not."""
        manager = dnf if dnf.is_used(host) else apt
        names = [name for name in self.all_names if name in changes]
        if any(changes[name][0] in dpkg.BROKEN for name in names):
            return None  # nobody wants a package half-installed again
        found = {name: manager.installed(host, name, False) for name in names}
        turned = next((changes[HELD.format(name)][0] for name in self.all_names if HELD.format(name) in changes), None)
        if not names:
            return Package(self.all_names, held=turned)
        if all(each is None or each.state in ("not-installed", "config-files") for each in found.values()):
            return Package(names, exists=False)
        if len(found) != 1 or self.purge:
            return None
        ((name, before),) = found.items()
        return Package(name, version=before.version, held=turned) if before is not None else None

    def predict(self, host: Overlay, changes: Changes) -> None:
        """dpkg's status afterwards, and the files of packages whose archives are at hand; their scripts may do more."""
        if dnf.is_used(host):
            host.cannot_foresee(self.name, spares=SPARED)
            return
        from cookline.host.resources import package_foresight

        names = [name for name in self.all_names if name in changes]
        if names and self.exists:
            scripts = package_foresight.installs(host, names, self.version, recommends=self.recommends)
            host.cannot_foresee(self.name, spares=SPARED, scripts=scripts)
        elif names:
            package_foresight.removes(host, names, purge=self.purge)
        if self.held is not None:
            package_foresight.holds(host, self.all_names, self.held)

    def watched_paths(self) -> List[str]:
        return [dpkg.STATUS]

    def declaration(self) -> Any:
        return {name: getattr(self, name) for name in ("names", "version", "held", "purge", "exists")}
