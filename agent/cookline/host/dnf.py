"""Installing and removing through dnf, on hosts of the RHEL family; what rpm says is installed, from one query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from cookline.errors import CommandError, ResourceError
from cookline.host.dpkg import Installed, fits
from cookline.host.system import Completed, System

if TYPE_CHECKING:
    from cookline.host.resources.package import Package

PROGRAM = "/usr/bin/dnf"
QUERY = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n"
# dnf 4 keeps its locks as patterns of versions, dnf 5 as TOML.
LOCKS = ("/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml")
# "Unable to find a match: a b" is what dnf 4 says when it is to be quiet.
NOT_FOUND = re.compile(
    r"(?:No match for argument|Unable to find a match|No packages? (?:matching|available|to install for argument)): *(\S+)",
    re.I,
)
NO_LOCKS = re.compile(r"No such command: versionlock|Unknown argument \"versionlock\"")


def is_used(host: System) -> bool:
    """Whether this host's packages are dnf's."""
    return host.status(PROGRAM) is not None and host.status("/var/lib/dpkg/status") is None


def parse(text: str) -> Dict[str, List[Installed]]:
    """Name -> its installed versions (there may be several of a kernel) as "version-release", or "epoch:version-release"."""
    found: Dict[str, List[Installed]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            name, epoch, version, release, architecture = fields
            full = f"{version}-{release}" if epoch in ("0", "(none)") else f"{epoch}:{version}-{release}"
            found.setdefault(name, []).append(Installed(name, "installed", full, architecture))
    return found


def status(host: System) -> Dict[str, List[Installed]]:
    """One query until something changes the machine."""
    return host.remember("rpm", lambda: parse(host.query(["rpm", "-qa", "--queryformat", QUERY]).stdout))  # type: ignore[no-any-return]


def installed(host: System, name: str, provided: bool) -> Optional[Installed]:
    """The package "name" or "name.architecture"; with `provided`, one that provides it where it is not there itself."""
    known = status(host)
    base, _, architecture = name.rpartition(".")
    found = known.get(name) or [each for each in known.get(base, []) if each.architecture == architecture]
    if not found and provided:
        answer = host.query(["rpm", "-q", "--whatprovides", "--queryformat", QUERY, "--", name])
        found = [each for group in parse(answer.stdout).values() for each in group] if answer.status == 0 else []
    if not found:
        return None
    return found[-1]._replace(held=found[-1].name in held(host))


def held(host: System) -> Tuple[str, ...]:
    """Names of locked packages: lines "nginx-1:1.20.1-14.el9.*" of dnf 4, `name = "nginx"` of dnf 5."""
    lists = [(host.read(path) or b"").decode("utf-8", "replace") for path in LOCKS]
    names = [line.rsplit("-", 2)[0] for line in lists[0].splitlines() if line.count("-") >= 2 and line[0] not in "#!"]
    return (*names, *re.findall(r'^name *= *"([^"]+)"', lists[1], re.MULTILINE))


def spellings(version: str) -> Sequence[str]:
    """How a version may be written in a recipe: in full, without the epoch, without the release."""
    plain = version.partition(":")[2] or version
    return (version, plain, plain.rpartition("-")[0])


def change(host: System, package: Package, names: Sequence[str]) -> None:
    """Install or remove in one transaction. Raises ResourceError for names and versions that there are not."""
    if not package.exists:
        check(run(host, ["remove", "--", *names], package.timeout))
        return
    words = [f"{name}-{package.version}" if package.version else name for name in names]
    options = [] if package.recommends else ["--setopt=install_weak_deps=False"]
    options += ["--disableplugin=versionlock"] if package.held is not None else []
    _explain(run(host, [*options, "install", "--", *words], package.timeout))
    if package.version and not all(_has(host, name, package.version) for name in names):
        # an older version than the one that is there
        _explain(run(host, [*options, "downgrade", "--", *words], package.timeout))


def _has(host: System, name: str, version: str) -> bool:
    found = installed(host, name, False)
    return found is not None and fits(spellings(found.version), version)


def hold(host: System, names: Sequence[str], held: bool) -> None:
    """Whether upgrades leave the packages alone."""
    answer = run(host, ["versionlock", "add" if held else "delete", *names])
    if NO_LOCKS.search(answer.stderr + answer.stdout):
        hint = "put Package('python3-dnf-plugin-versionlock') before"
        raise ResourceError("this host's dnf has no versionlock, so no package can be held", hint=hint)
    check(answer)


def run(host: System, words: Sequence[str], timeout: Optional[float] = None) -> Completed:
    """dnf waits for its lock by itself."""
    return host.run(["dnf", "-y", "-q", *words], ok=None, timeout=timeout or 3600.0)


def check(answer: Completed) -> None:
    if answer.status != 0:
        raise CommandError(answer.command, answer.status, "", answer.stderr[-2000:] or answer.stdout[-2000:])


def _explain(answer: Completed) -> None:
    missing = NOT_FOUND.search(answer.stderr + answer.stdout)
    if answer.status != 0 and missing is not None:
        message = f"there is no package {missing.group(1)!r} in the repositories of this host"
        raise ResourceError(message, hint="check the name, or put its DnfRepository before")
    check(answer)
