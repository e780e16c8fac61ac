"""What a Debian package will bring, out of its own file list, when its archive is on this machine."""

from __future__ import annotations

import re
import shlex
from typing import Any, Callable, Dict, Optional, Sequence
from urllib.parse import unquote

from cookline.host.system import System

# 'file:/srv/packages/nginx_1.22_amd64.deb' nginx_1.22_amd64.deb 527908 SHA256:..
URI = re.compile(r"^'(?:file|copy):/*(/[^']+)' ([^_ ]+)_", re.MULTILINE)
# drwxr-xr-x root/root 0 2024-01-01 00:00 ./etc/nginx/
ENTRY = re.compile(r"^([-dl])([rwxsStT-]{9}) \S+ +\d+ \S+ \S+ \.(/.*?)(?: -> .*)?$", re.MULTILINE)
KINDS = {"-": "file", "d": "directory", "l": "link"}
CACHE = "/var/cache/apt/archives"


def archives(host: System, names: Sequence[str]) -> Dict[str, str]:
    """Package name to the path of its .deb, for those of `names` whose archive lies on this machine."""
    answer = host.query(["apt-get", "--print-uris", "-qq", "-y", "--no-install-recommends", "install", *names], timeout=60.0)
    found = {name: unquote(path) for path, name in URI.findall(answer.stdout) if name in names}
    for entry in host.listing(CACHE):
        name = entry.split("_")[0]
        if name in names and entry.endswith(".deb"):
            found.setdefault(name, f"{CACHE}/{entry}")
    return {name: path for name, path in found.items() if host.status(path) is not None}


def entries(host: System, archive: str) -> Dict[str, Any]:
    """{path: (kind, mode, load)} of the files, directories and links in a package."""
    listing = host.query(["dpkg-deb", "--contents", archive], timeout=60.0).stdout
    return {
        path.rstrip("/") or "/": (KINDS[kind], _octal(bits), _loader(host, archive, path))
        for kind, bits, path in ENTRY.findall(listing)
        if path != "/"
    }


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
