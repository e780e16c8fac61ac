"""A kind of a cookbook's own is as good as those that come with cookline: plan, run, drift, removal, undo."""

from __future__ import annotations

import re
import subprocess

from tests.e2e.test_plans import MakeProject, change, project  # noqa: F401  # the fixture
from tests.lab.hosts import LabHost

KIND = '''
from typing import Optional

from cookline import Changes, Resource, ResourceUsageError, State, System, field


class Site(Resource):
    """A site: its directory, and the port that it is served on.

    >>> Site("shop", 80).desired()
    {'port': '80'}
    """

    site: str
    port: int = 0
    exists: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if self.exists and not 0 < self.port < 65536:
            raise ResourceUsageError(f"{self.name} needs a port from 1 to 65535, not {self.port}")

    @property
    def path(self) -> str:
        return f"/srv/{self.site}/port"

    def current(self, host: System) -> State:
        content = host.read(self.path)
        return {"port": None if content is None else content.decode().strip()}

    def desired(self) -> State:
        return {"port": str(self.port) if self.exists else None}

    def apply(self, host: System, changes: Changes) -> None:
        if not self.exists:
            host.remove_tree(f"/srv/{self.site}")
            return
        if host.status(f"/srv/{self.site}") is None:
            host.make_directory(f"/srv/{self.site}")
        host.write(self.path, f"{self.port}\\n".encode())

    def inverse(self, host: System, changes: Changes) -> Optional[Resource]:
        before = changes["port"][0]
        return Site(self.site, exists=False) if before is None else Site(self.site, int(before))

    def watched_paths(self) -> "list[str]":
        return [self.path]
'''
RECIPE = """
    from cookbooks.test.resources.site import Site

    def recipe(node):
        node.ensure(Site("shop", {port}))
        node.ensure(Site("shop", {port}))
        node.ensure(File("/srv/shop/index", content="hello"))
"""


def test_a_kind_of_a_cookbook_is_planned_run_looked_after_and_undone(host: LabHost, project: MakeProject) -> None:  # noqa: F811
    nothing = "def recipe(node): pass"
    shop = project(recipes={"setup": nothing, "configure": nothing}, files={"resources/site.py": KIND})
    shop.good("setup", "test")
    change(shop, configure=RECIPE.format(port=80))
    plan = shop.cookline("plan", "test", "configure", "--json").json["results"][0]["resources"]
    assert [each["kind"] for each in plan] == ["will_change", "will_not", "will_change"]
    assert plan[0]["changes"] == [{"field": "port", "from": None, "to": "80"}]
    run = shop.good("configure", "test", "--json").json["results"][0]
    assert run["totals"] == {"changed": 2, "unchanged": 1}
    assert re.search(r"mismatches with its plan \w+: 0", shop.good("show", run["run"]).out)
    assert shop.good("configure", "test", "--json").json["results"][0]["totals"] == {"unchanged": 3}

    host.run("echo 81 > /srv/shop/port", check=True)
    drift = shop.cookline("drift", "test", "--check")
    assert drift.status == 3 and "Site[shop]" in drift.out and "port 81, not 80" in drift.out
    shop.good("configure", "test")
    assert host.run("cat /srv/shop/port").stdout == "80\n"

    change(shop, configure=RECIPE.format(port=8080))
    run = shop.good("configure", "test", "--json").json["results"][0]["run"]
    shop.good("undo", run)
    assert host.run("cat /srv/shop/port").stdout == "80\n"
    change(shop, configure=RECIPE.format(port="'80'"))
    wrong = shop.cookline("configure", "test")
    assert wrong.status == 1 and "Site: port must be a whole number, not '80'" in wrong.err
    assert "cookbooks/test/recipes/configure.py:6" in wrong.err and "resources/declared" not in wrong.err
    debugged = subprocess.run(
        shop.command("--debug", "configure", "test"), cwd=shop.folder, env=shop.environment, capture_output=True
    )
    assert b"Traceback" in debugged.stderr and b"resources/declared" in debugged.stderr
