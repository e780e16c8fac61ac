"""Recipes that need no cookbook: what OpsWorks' stack commands do (features O44)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List

from cookline.errors import CookbookError, did_you_mean
from cookline.host.resources.actions import Restart
from cookline.host.resources.execute import Execute
from cookline.host.resources.service import Service
from cookline.host.run.node import Node

if TYPE_CHECKING:
    from cookline.host.run.engine import Engine

# Packages whose new version comes from an archive of security updates, as apt itself would install them.
SECURITY = "apt-get --simulate upgrade | awk '/^Inst / && /[Ss]ecurity/ {print $2}'"
APT = "apt-get -qq -o DPkg::Lock::Timeout=120"
INSTALL = f"{APT} -o Dpkg::Options::=--force-confold --only-upgrade --yes install $({SECURITY})"
# Time enough for a kernel and a slow mirror.
SECONDS = 1800.0


def recipe(address: str, engine: Engine) -> Callable[[Node], None]:
    """The function of a recipe `cookline::NAME`. Raises CookbookError for one that there is not."""
    name = address.partition("::")[2]
    if name == "install_dependencies":
        engine.kinds = ("Package",)  # the setup recipes follow
        return lambda node: None
    functions = {
        "update_dependencies": update_dependencies,
        "start_app": start_app,
        "stop_app": stop_app,
        "restart_app": restart_app,
    }
    if name not in functions:
        raise CookbookError(f"cookline has no recipe {name!r}{did_you_mean(name, functions)}")
    return functions[name]


def update_dependencies(node: Node) -> None:
    """Install the security updates of packages that are installed; nothing else, and nothing new."""
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    there_are = f'{APT} update && test -n "$({SECURITY})"'
    node.ensure(Execute(INSTALL, only_if=there_are, environment=environment, timeout=SECONDS))


def start_app(node: Node) -> None:
    for name in _apps(node):
        node.ensure(Service(name, running=True))


def stop_app(node: Node) -> None:
    for name in _apps(node):
        node.ensure(Service(name, running=False))


def restart_app(node: Node) -> None:
    for name in _apps(node):
        node.later(Restart(name))


def _apps(node: Node) -> List[str]:
    """The apps that the command is about; each is a service of its own name."""
    return [name for name, app in node.apps.items() if app.get("deploy")]
