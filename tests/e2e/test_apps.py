"""An app from git on a real host: deployed with its hooks, taken back, removed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.commands import Project
from tests.lab.hosts import LabHost

STACK = """\
stack: shop
layers:
  app: {{recipes: {{setup: [own::setup], deploy: [own::deploy], undeploy: [own::undeploy]}}}}
instances:
{instances}apps:
  shop: {{layers: [app], source: {{type: git, url: ./source}}, environment: {{TOKEN: !secret env:SHOP_TOKEN, COLOUR: blue}}}}
  blog: {{layers: [app], source: {{type: local, path: blog}}}}
"""
SETUP = """\
from cookline import User

def recipe(node):
    node.ensure(User("shop", system=True, home="/srv/www/shop"))
"""
DEPLOY = """\
from cookline import Release

def recipe(node):
    for app in node.apps.values():
        if app["deploy"]:
            node.ensure(Release(app["name"], owner="shop", shared={}, directories=[]))
"""
UNDEPLOY = """\
from cookline import Release

def recipe(node):
    for app in node.apps.values():
        if app["deploy"]:
            node.ensure(Release(app["name"], exists=False))
"""
HOOK = '#!/bin/sh\necho "${0##*/} $(id -un) $COLOUR ${#TOKEN}" >> hooks.log\n'
SECRET = "canary-0123456789"


def commit(source: Path, number: int, **files: str) -> str:
    for name, text in {"version": f"{number}\n", **files}.items():
        path = source / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.net"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", f"version {number}"]):
        subprocess.run(["git", "-C", str(source), *command], check=True, capture_output=True)
    done = subprocess.run(["git", "-C", str(source), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_an_app_is_deployed_taken_back_four_times_and_removed(host: LabHost, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "SHOP_TOKEN", SECRET)
    project = Project(tmp_path)
    project.pin(host)
    project.write("shop.yml", STACK.format(instances=project.instance("app1", host)))
    project.write("cookbooks/own/cookbook.yml", "name: own\nversion: 1.0.0\n")
    for name, text in {"setup": SETUP, "deploy": DEPLOY, "undeploy": UNDEPLOY}.items():
        project.write(f"cookbooks/own/recipes/{name}.py", text)
    project.write("blog/index.html", "<p>blog</p>\n")
    source = tmp_path / "source"
    source.mkdir()

    def version() -> str:
        return host.run("cat /srv/www/shop/current/version", check=True).stdout.strip()

    # setup deploys every app; the hooks run as the app's owner and know its environment
    first = commit(source, 1, **{f"deploy__{name}": HOOK for name in ("before_migrate", "before_restart", "after_restart")})
    said = project.ok("push", "shop.yml") + project.ok("setup", "shop")
    assert SECRET not in said
    log = host.run("cat /srv/www/shop/current/hooks.log", check=True).stdout.splitlines()
    assert log == [f"{name} shop blue {len(SECRET)}" for name in ("before_migrate", "before_restart", "after_restart")]
    assert [app["stood"].get("commit") for app in project.json("app", "shop")] == [first, None]

    # six releases, of which five are kept; the other app is left alone by a deployment of this one
    blog = host.run("readlink /srv/www/blog/current", check=True).stdout
    project.write("blog/index.html", "<p>news</p>\n")
    for number in range(2, 7):
        commit(source, number)
        project.ok("push", "shop.yml")
        project.ok("deploy", "shop", "--app", "shop")
    assert version() == "6"
    assert host.run("ls /srv/www/shop/releases | wc -l", check=True).stdout.strip() == "5"
    assert host.run("readlink /srv/www/blog/current", check=True).stdout == blog

    # a hook that fails stops before the switch
    commit(source, 7, deploy__before_symlink="#!/bin/sh\necho no luck $TOKEN\nexit 1\n")
    project.ok("push", "shop.yml")
    code, said = project.run("deploy", "shop", "--app", "shop")
    assert code == 1
    assert "the hook deploy/before_symlink of 'shop' failed" in said and "no luck" in said and SECRET not in said
    assert version() == "6"
    assert host.run("ls /srv/www/shop/releases | wc -l", check=True).stdout.strip() == "5"

    # four steps back work, the fifth fails and changes nothing
    for number in (5, 4, 3, 2):
        project.ok("rollback", "shop", "--app", "shop")
        assert version() == str(number)
    before = host.run("ls -lR --time-style=full-iso /srv/www/shop", check=True).stdout
    code, said = project.run("rollback", "shop", "--app", "shop")
    assert code == 1 and "nothing was changed" in said
    assert host.run("ls -lR --time-style=full-iso /srv/www/shop", check=True).stdout == before

    project.ok("undeploy", "shop", "--app", "shop")
    assert host.run("ls /srv/www /var/lib/cookline/hooks", check=True).stdout.split() == [
        "/srv/www:",
        "blog",
        "/var/lib/cookline/hooks:",
    ]
