"""pytest's view of hosts that cookline manages. testinfra brings the fixture `host`; this plugin says which hosts there are.

    pytest --stack stacks/shop.yml --layer app cookbooks/app/tests     each test on each online host of a pushed stack's layer

Fixtures: `host` (testinfra's), `stack` (its name and all its instances), `instance` (of the host that the test looks at),
`snapshot` (as the host was last told).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HOSTS = pytest.StashKey[dict[str, Any]]()


class Named(dict[str, Any]):
    """A mapping whose keys are attributes too, as recipes have it: instance.address, instance["address"]."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            from cookline.errors import did_you_mean

            raise AttributeError(f"there is no {name!r} here{did_you_mean(name, self)}") from None
        return Named(value) if isinstance(value, Mapping) else value


class Stack(Named):
    """The stack as a snapshot has it: .name, .layers, .instances(layer="app", online=True)."""

    def instances(self, *, layer: str | None = None, online: bool | None = None) -> list[Named]:
        return [
            Named(each)
            for each in self["snapshot"].get("instances", [])
            if (layer is None or layer in each["layers"]) and (online is None or each["online"] == online)
        ]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cookline", "hosts of a stack that cookline manages")
    group.addoption("--stack", metavar="NAME|FILE", help="test the hosts of this pushed stack")
    group.addoption("--layer", metavar="NAME", help="with --stack: hosts of this layer alone")
    group.addoption("--on", metavar="SELECTOR", help="with --stack: app1, layer:app, state:online; several with commas")
    group.addoption("--cookline-directory", metavar="PATH", help="the project's .cookline directory (COOKLINE_DIRECTORY)")
    group.addoption("--cookline-hosts", metavar="FILE", help="a file that cookline kitchen wrote, instead of --stack")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    told, stack = config.getoption("--cookline-hosts"), config.getoption("--stack")
    if told:
        _use(config, json.loads(Path(told).read_text()))
    elif stack:
        from cookline.errors import CooklineError
        from cookline.kitchen.stack_hosts import hosts_of_stack

        directory = config.getoption("--cookline-directory") or os.environ.get("COOKLINE_DIRECTORY") or ".cookline"
        try:
            _use(config, hosts_of_stack(Path(directory), stack, on=config.getoption("--on"), layer=config.getoption("--layer")))
        except CooklineError as error:
            raise pytest.UsageError(str(error)) from None
    elif config.getoption("--layer"):
        raise pytest.UsageError("--layer is a layer of a stack: add --stack NAME")


def _use(config: pytest.Config, what: dict[str, Any]) -> None:
    if not config.pluginmanager.hasplugin("testinfra") and not hasattr(config.option, "ssh_config"):
        raise pytest.UsageError("tests on hosts need pytest-testinfra: pip install 'cookline[kitchen]'")
    config.stash[HOSTS] = what
    config.option.ssh_config = what["ssh_config"]
    # a connection that is kept for 15 s serves the tests of one file, and leaves nothing behind for long
    config.option.hosts = ",".join(
        f"ssh://{name}?controlpersist=15" + ("&sudo=true" if host.get("user", "root") != "root" else "")
        for name, host in what["hosts"].items()
    )


def _told(request: pytest.FixtureRequest) -> dict[str, Any]:
    if HOSTS not in request.config.stash:
        pytest.skip("it needs the hosts of a stack: --stack NAME, or cookline kitchen verify")
    return request.config.stash[HOSTS]


@pytest.fixture(scope="session")
def snapshot(request: pytest.FixtureRequest) -> Named:
    """The stack as its hosts were told of it last: stack, layers, instances, apps."""
    return Named(_told(request)["snapshot"])


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    what = _told(request)
    return Stack(name=what["stack"], layers=what["snapshot"].get("layers", {}), snapshot=what["snapshot"])


@pytest.fixture(scope="module")
def instance(request: pytest.FixtureRequest, host: Any) -> Named:
    """The instance that the test's `host` is."""
    what = _told(request)
    name = host.backend.get_hostname()
    return Named({"name": name, **what["hosts"][name]})
