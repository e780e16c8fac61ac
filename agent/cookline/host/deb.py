"""What Debian packages will bring and take, out of apt's own plan and the packages' own file lists."""

from __future__ import annotations

import re
import shlex
from typing import Any, Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote

from cookline.host.system import System

# 'file:/srv/packages/nginx_1.22_amd64.deb' nginx_1.22-1%2bdeb12u1_amd64.deb 527908 SHA256:..
URI = re.compile(r"^'([a-z]+):/*(/[^']+)' ([^_ ]+)_([^_ ]+)_[^ ]+\.deb ", re.MULTILINE)
# Remv nginx [1.22.1-9]
REMOVED = re.compile(r"^(?:Remv|Purg) (\S+) ", re.MULTILINE)
# drwxr-xr-x root/root 0 2024-01-01 00:00 ./etc/nginx/
ENTRY = re.compile(r"^([-dlh])([rwxsStT-]{9}) \S+ +\d+ \S+ \S+ \.(/.*?)(?: (?:->|link to) (.*))?$", re.MULTILINE)
KINDS = {"-": "file", "d": "directory", "l": "link", "h": "file"}
SYSUSERS = "/usr/lib/sysusers.d/"
CACHE = "/var/cache/apt/archives"
INFO = "/var/lib/dpkg/info"
UNITS = re.compile(r"(?:/usr)?/lib/systemd/system/([^/]+\.(?:service|socket|timer|path|mount|target|slice))")


class Coming(NamedTuple):
    """A package that apt would install: its version, and its archive where that lies on this machine."""

    name: str
    version: str
    archive: Optional[str]


def coming(host: System, words: Sequence[str], *, recommends: bool) -> List[Coming]:
    """Every package that `apt-get install WORDS` would bring, those that it depends on too; none when apt refuses."""
    options = [] if recommends else ["--no-install-recommends"]
    command = ["apt-get", "--print-uris", "-qq", "-y", "--allow-downgrades", "--allow-change-held-packages"]
    answer = host.query([*command, *options, "install", *words], timeout=60.0)
    found = []
    for scheme, path, name, version in URI.findall(answer.stdout):
        local = unquote(path) if scheme in ("file", "copy") else f"{CACHE}/{path.rpartition('/')[2]}"
        found.append(Coming(name, unquote(version), local if host.exists(local) else None))
    return found


def leaving(host: System, names: Sequence[str]) -> List[str]:
    """Every package that `apt-get remove NAMES` would take away, those that depend on them too."""
    command = ["apt-get", "-s", "-qq", "-y", "--allow-change-held-packages", "remove", *names]
    return REMOVED.findall(host.query(command, timeout=60.0).stdout) or list(names)


def entries(host: System, archive: str) -> Dict[str, Any]:
    """{path: (kind, mode, load, link target)} of the files, directories and links in a package."""
    listing = host.query(["dpkg-deb", "--contents", archive], timeout=60.0).stdout
    return {
        path.rstrip("/") or "/": (KINDS[kind], _octal(bits), _loader(host, archive, path), target if kind == "l" else "")
        for kind, bits, path, target in ENTRY.findall(listing)
        if path != "/"
    }


def scripts(host: System, archive: str, paths: Collection[str]) -> str:
    """The scripts that run when a package with these paths is installed, and its list of accounts for systemd-sysusers."""
    control = f"dpkg-deb --ctrl-tarfile {shlex.quote(archive)} | tar -xO --wildcards './p*inst' 2>/dev/null"
    accounts = f"dpkg-deb --fsys-tarfile {shlex.quote(archive)} | tar -xO --wildcards '.{SYSUSERS}*' 2>/dev/null"
    # to unpack a package for what it does not hold costs seconds: libllvm has 26 MB
    listed = any(path.startswith(SYSUSERS) for path in paths)
    return host.query(f"{control}; {accounts}" if listed else control, timeout=60.0).stdout


def files(host: System, name: str) -> Tuple[List[str], List[str]]:
    """Paths that an installed package brought, directories too, and those of them that are its configuration."""
    lists = [entry for entry in host.listing(INFO) if re.fullmatch(rf"{re.escape(name)}(?::[a-z0-9-]+)?\.list", entry)]
    paths = [path for entry in lists for path in _lines(host, f"{INFO}/{entry}") if path != "/."]
    kept = [path for entry in lists for path in _lines(host, f"{INFO}/{entry[:-5]}.conffiles")]
    return paths, [path for path in kept if path.startswith("/")]


def _lines(host: System, path: str) -> List[str]:
    return (host.read(path) or b"").decode("utf-8", "surrogateescape").splitlines()


def _loader(host: System, archive: str, path: str) -> Callable[[], bytes]:
    known: Optional[bytes] = None

    def load() -> bytes:
        nonlocal known
        if known is None:
            command = f"dpkg-deb --fsys-tarfile {shlex.quote(archive)} | tar -xO {shlex.quote('.' + path)}"
            known = host.query(command, timeout=60.0).stdout.encode("utf-8", "surrogateescape")
        return known

    return load


def _octal(bits: str) -> str:
    """ "rwxr-xr-x" -> "0755"; setuid and its like count too."""
    special = sum(value for place, value in ((2, 4), (5, 2), (8, 1)) if bits[place] in "sStT")
    plain = [bits[:3], bits[3:6], bits[6:]]
    digits = [4 * (part[0] == "r") + 2 * (part[1] == "w") + (part[2] in "xst") for part in plain]
    return f"{special}{''.join(map(str, digits))}"
