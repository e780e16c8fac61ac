"""Recipes on a fake host: what they declare, what is left on it, and what is refused."""

from __future__ import annotations

import textwrap

import pytest

from cookline.errors import CookbookError, CooklineError, RunError, StackError, UsageError
from cookline.host.system import System
from cookline.kitchen import FakeHost, converge
from cookline.kitchen.fake.system import FakeSystem

IMPORTS = (
    "from cookline import Directory, Execute, File, Group, LineInFile, Link, Package, Reload, Restart, Service, SystemdUnit, "
    "Template, User\n\n\ndef recipe(node):\n"
)


@pytest.fixture
def run(project):
    """A function that converges the body of a recipe of the cookbook `web`."""

    def converge_body(body, **options):
        project.write("cookbooks/web/recipes/default.py", IMPORTS + textwrap.indent(textwrap.dedent(body), "    "))
        return converge("web", cookbooks=project.folder / "cookbooks", **options)

    return converge_body


def test_a_shipped_recipe_tells_its_resources_in_order_its_file_and_what_it_owes():
    done = converge("nginx", attributes={"nginx": {"port": 8080}})
    assert done.resources[0] == "Package[nginx-light]" and done.resources[-1] == "Service[nginx]"
    assert "listen 8080" in done.file("/etc/nginx/sites-available/site")
    assert done.owed == ["Reload[nginx]"]
    assert done.owed_because_of("Reload[nginx]") == "Template[/etc/nginx/sites-available/site]"
    assert done.resource("Service[nginx]").enabled is True


@pytest.mark.parametrize("platform", ["debian-11", "debian-12", "debian-13"])
def test_each_kind_changes_once_and_then_never_again(run, platform):
    body = """
        node.ensure(Package(["haproxy", "curl"]))
        node.ensure(Group("ops"))
        node.ensure(User("anna", groups=["ops"], home="/home/anna", password_hash="$6$x"))
        node.ensure(Directory("/srv/site/a", parents=True, owner="anna", mode="0750"))
        node.ensure(File("/srv/site/a/index.html", "hello\\n", owner="anna", group="haproxy", mode="0640"))
        node.ensure(LineInFile("/etc/motd", "more"))
        node.ensure(Link("/srv/site/current", target="/srv/site/a"))
        node.ensure(SystemdUnit("web.service", "[Service]\\nExecStart=/bin/true\\n"))
        node.ensure(Service("web", running=True, enabled=True))
        node.ensure(Service("cron", running=False, enabled=False))
        node.ensure(Execute("make-it", creates="/srv/made"))
        """
    host = FakeHost(platform)
    first = run(body, host=host)
    assert first.changed == first.resources
    assert first.file("/srv/site/a/index.html") == "hello\n"
    assert first.file("/etc/motd") == "more\n"
    assert host.system.units["cron.service"].running is False
    second = run(body, host=host)
    assert second.resources == first.resources and second.changed == []


def test_platforms_differ_in_their_recorded_facts(run):
    body = "node.log(node.facts.os.codename)\nnode.log(str(node.facts.memory.total))"
    assert run(body, platform="debian-11").logs[0] == "bullseye"
    assert run(body, platform="debian-13", facts={"memory": {"total": 7}}).logs == ["trixie", "7"]


def test_guards_ask_the_answers_of_the_test(run):
    body = 'node.ensure(Execute("enrol", not_if="test -e /enrolled"))'
    assert run(body).changed == ["Execute[enrol]"]
    assert run(body, answers={"test -e /enrolled": 0}).skipped == ["Execute[enrol]"]


def test_the_snapshot_of_the_test_is_the_stack_of_the_recipe():
    told = {
        "instances": {"app1": {"layers": ["app"], "address": "192.0.2.77"}, "app2": {"layers": ["app"], "state": "stopped"}}
    }
    text = converge("haproxy::configure", snapshot=told, platform="debian-12", host=with_package("haproxy")).file(
        "/etc/haproxy/haproxy.cfg"
    )
    assert "server app1 192.0.2.77:8080" in text and "app2" not in text


def with_package(name):
    host = FakeHost()
    host.system.brought.append(f"Package[{name}]")
    return host


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('node.ensure(File("/etc/motd", "x", mde="0644"))', ["no field 'mde'; did you mean 'mode'?", "default.py:5", ">    5"]),
        ('node.ensure(Package("nginx"), later="Restart")', ["later= and now= take actions"]),
        ('node["web"]["prt"]', ["there is no attribute 'prt' under 'web'; did you mean 'port'?", "default.py:5"]),
        ('node.ensure(Service("crom", running=True))', ["there is no unit 'crom.service'", "did you mean 'cron.service'?"]),
        ('node.ensure(File("/etc/web/a", "x"))', ["/etc/web does not exist", "put Directory('/etc/web') before"]),
        ('node.ensure(File("/etc/a", "x", owner="rot"))', ["there is no user 'rot'", "did you mean 'root'?"]),
        ('node.ensure(Template("/etc/motd"))', ["there is no cookbooks/web/templates/motd.j2"]),
        ("node.facts.os.famly", ["there is no fact 'famly' here; did you mean 'family'?"]),
        ('open("/tmp/cookline-must-not-be", "w")', ["must not touch this machine", "default.py:5"]),
        ('__import__("subprocess").run(["true"])', ["must not touch this machine"]),
    ],
)
def test_a_mistake_is_told_with_the_line_of_its_author(run, body, said):
    with pytest.raises(CooklineError) as caught:
        run(body)
    for each in said:
        assert each in str(caught.value)


def test_errors_keep_their_kind(run):
    with pytest.raises(CookbookError):
        run('node.include("web::nothing")')
    with pytest.raises(RunError):
        run("1 / 0")
    with pytest.raises(StackError, match="did you mean 'port'"):
        run("pass", attributes={"web": {"prot": 1}})
    with pytest.raises(UsageError, match="did you mean 'debian-12'"):
        run("pass", platform="debian12")


def test_asking_for_what_was_not_declared_names_the_nearest(run):
    done = run('node.ensure(File("/etc/motd", "x"))')
    with pytest.raises(UsageError, match=r"did you mean 'File\[/etc/motd\]'"):
        done.resource("File[/etc/mot]")
    with pytest.raises(UsageError, match="no file /etc/mtd"):
        done.file("/etc/mtd")


def test_no_way_to_this_machine_is_left_open():
    allowed = {"forget", "open_door", "at_end", "end", "step", "scratch"}
    ways = {name for name, value in vars(System).items() if callable(value) and not name.startswith("_")} - allowed
    assert ways <= set(vars(FakeSystem)), "a fake host answers these itself"
