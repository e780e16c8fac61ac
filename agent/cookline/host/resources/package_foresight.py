"""What a plan knows of a change of packages by apt: dpkg's status, files and units afterwards."""

from __future__ import annotations

import functools
from typing import Optional, Sequence

from cookline.host import deb, dpkg
from cookline.host.overlay import Overlay

STANZA = "Package: {name}\nStatus: {held} ok installed\nVersion: {version}\nArchitecture: {architecture}"


def installs(host: Overlay, names: Sequence[str], version: Optional[str], *, recommends: bool) -> Optional[str]:
    """The packages with all that they depend on, and the files of those whose archives are on this machine.

    Returns the text of their scripts, None when not all archives are here.
    """
    words = [f"{name}={version}" if version else name for name in names]
    coming = {each.name: each for each in deb.coming(host, words, recommends=recommends)}
    versions = {each.name: each.version for each in coming.values()}
    architectures = dict(name.split(":") for name in names if ":" in name)
    for name in names:
        versions.setdefault(name.partition(":")[0], version or "planned")
    for name, number in versions.items():
        fields = {"name": name, "version": number, "architecture": architectures.get(name, "all")}
        _set_stanza(host, name, STANZA.format(held="install", **fields))
    texts = []
    for each in coming.values():
        if each.archive is not None:
            entries = deb.entries(host, each.archive)
            host.bring(each.name, entries)
            texts.append(deb.scripts(host, each.archive, entries))
    return "\n".join(texts) if texts and len(texts) == len(coming) else None


def removes(host: Overlay, names: Sequence[str], *, purge: bool) -> None:
    """The packages go, and those that depend on them; their files go, configuration only with a purge, and their units stop."""
    for name in {*names, *deb.leaving(host, names)}:
        paths, kept = deb.files(host, name.partition(":")[0])
        brought = [path for path, node in host.nodes.items() if node is not None and node.package == name]
        _set_stanza(host, name.partition(":")[0], "")
        for path in [*paths, *brought]:
            status = host.status(host.real_path(path))  # of /lib, a link on hosts with one /usr, a package knows a directory
            if (status is None or status.kind != "directory") and (purge or path not in kept) and host.exists(path):
                host.remove(path)
            unit = deb.UNITS.fullmatch(path)
            if unit:
                host.planned_units[unit.group(1)] = None


def holds(host: Overlay, names: Sequence[str], held: bool) -> None:
    for name in names:
        found = dpkg.status(host).find(name)
        if found is not None:
            word = "hold" if held else "install"
            fields = {"name": found.name, "version": found.version, "architecture": found.architecture}
            _set_stanza(host, found.name, STANZA.format(held=word, **fields))


def _set_stanza(host: Overlay, name: str, stanza: str) -> None:
    host.edit(dpkg.STATUS, functools.partial(dpkg.with_stanza, name=name, stanza=stanza))
