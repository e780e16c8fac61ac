"""The image of the comparison's hosts: Debian 12 as everywhere, and what Puppet, CFEngine and Salt need to run on a host."""

from __future__ import annotations

import shutil
import sys

from cookline.control.providers.container import image
from cookline.control.providers.container.image import APT_TIMERS, BASE_PACKAGES, MASKED, RECIPES, Recipe, cache_directory
from tests.bench.peers.tool import INSTALLED, output_of

NAME = "debian-12-peers"
# bundlewrap asks a host for `file`, Ansible for python3-apt
PACKAGES = ("puppet", "cfengine3", "file", "python3-apt")
# Their own agents would work beside the measurement.
AGENTS = ("puppet", "pxp-agent", "cfengine3", "cf-execd", "cf-monitord", "cf-serverd", "cf-apache", "cf-hub", "cf-postgres")
SALT = "opt/salt"
SALT_CALL = """\
#!/bin/sh
PYTHONPATH=/opt/salt/site-packages exec /usr/bin/python3 -c 'from salt.scripts import salt_call; salt_call()' "$@"
"""

RECIPES[NAME] = Recipe(
    "bookworm",
    packages=(*BASE_PACKAGES, *PACKAGES),
    masked=(*MASKED, *APT_TIMERS, *(f"{agent}.service" for agent in AGENTS)),
)


def prepare() -> None:
    """Build the image, and put Salt's virtual environment into it, as Debian has no package of it."""
    made = image.ensure(NAME, cache_directory(), print)
    place, packages = made.rootfs / SALT, INSTALLED / "salt" / "lib" / "python3.11" / "site-packages"
    if packages.is_dir() and (INSTALLED / "salt" / "complete").exists() and not (place / "salt-call").exists():
        print("copying Salt to the hosts' image")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(packages, place / "site-packages", symlinks=True)
        (place / "salt-call").write_text(SALT_CALL)
        (place / "salt-call").chmod(0o755)


def has_salt() -> bool:
    """Salt's compiled parts are for the interpreter that made the virtual environment; the hosts' is 3.11."""
    return (INSTALLED / "salt" / "complete").exists() and sys.version_info[:2] == (3, 11)


def package_version(package: str) -> str:
    rootfs = image.ensure(NAME, cache_directory(), print).rootfs
    line = ("dpkg-query", f"--admindir={rootfs}/var/lib/dpkg", "-W", "-f", "${source:Upstream-Version}", package)
    return output_of(*line) or "?"
