"""The addresses that this machine needs for itself: a range of test hosts must hide none of them."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from cookline.control.providers.container.requirements import run

Needed = tuple[str, ipaddress.IPv4Network]

# Files that name package registries, relative to / and to the home directory.
SYSTEM_FILES = ("etc/apt/sources.list", "etc/pip.conf", "etc/npmrc")
SYSTEM_GLOBS = ("etc/apt/sources.list.d/*", "etc/apt/apt.conf.d/*")
HOME_FILES = (".pip/pip.conf", ".config/pip/pip.conf", ".npmrc")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "pip_index_url", "pip_extra_index_url", "npm_config_registry")

URL_HOST = re.compile(r"https?://(?:[^/@\s\"']*@)?([A-Za-z0-9.-]+)")

# Names that do not resolve within this many seconds cannot be hidden either: the machine does not reach them.
RESOLVE_SECONDS = 2.0


def needed_addresses() -> list[Needed]:
    """(what it is, its range) of each address and route of this machine, its nameservers and its package registries."""
    return _own() + _routes() + _nameservers() + _registries()


def hidden_by(subnet: ipaddress.IPv4Network, needed: Iterable[Needed]) -> list[str]:
    """What of `needed` lies in `subnet`, or the other way round."""
    return [f"{what} ({network})" for what, network in needed if network.overlaps(subnet)]


def _own() -> list[Needed]:
    links = json.loads(run("ip", "-json", "-4", "address", "show"))
    return [
        (f"the address of {link['ifname']}", _network(f"{entry['local']}/{entry['prefixlen']}"))
        for link in links
        for entry in link.get("addr_info", [])
        if entry.get("local")
    ]


def _routes() -> list[Needed]:
    """Every route but the default one, whose gateway counts instead."""
    found: list[Needed] = []
    for route in json.loads(run("ip", "-json", "-4", "route", "show") or "[]"):
        if route["dst"] != "default":
            found.append((f"the route through {route.get('dev', '?')}", _network(route["dst"])))
        if gateway := route.get("gateway"):
            found.append(("a gateway", _network(gateway)))
    return found


def _nameservers() -> list[Needed]:
    found: list[Needed] = []
    with contextlib.suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver" and "." in words[1]:
                found.append(("a nameserver", _network(words[1])))
    return found


def _registries() -> list[Needed]:
    names = sorted({name for text in _registry_texts() for name in URL_HOST.findall(text)})
    found = _resolve(names)
    return [(f"the package registry {name}", _network(address)) for name in names for address in found.get(name, [])]


def _registry_texts() -> list[str]:
    paths = [Path("/", name) for name in SYSTEM_FILES] + [Path.home() / name for name in HOME_FILES]
    paths += [path for pattern in SYSTEM_GLOBS for path in Path("/").glob(pattern)]
    texts = [value for name, value in os.environ.items() if name.lower() in VARIABLES]
    for path in paths:
        with contextlib.suppress(OSError):
            texts.append(path.read_text(errors="replace"))
    return texts


def _resolve(names: list[str]) -> dict[str, list[str]]:
    """name -> IPv4 addresses, for the names that resolve in time. The threads are daemons: a slow resolver holds up nobody."""
    answers: dict[str, list[str]] = {}

    def look_up(name: str) -> None:
        with contextlib.suppress(OSError):
            answers[name] = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, None, socket.AF_INET)})

    threads = [threading.Thread(target=look_up, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(answers)


def _network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text, strict=False)
