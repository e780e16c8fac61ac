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
        node.ensure(Link("/srv/site/current", to="/srv/site/a"))
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
        ('node.ensure(Template("/etc/motd", variables={"a": 1}))', ["no field 'variables'; it is called `values` here"]),
        ('node.ensure(File("/etc/motd", "x", notifies="cron"))', ["no field 'notifies'; node.ensure takes", "later=Restart("]),
        ('node.ensure(Link("/etc/x", target="/etc/y"))', ["Link has no field 'target'; it is called `to` here"]),
        ('node.ensure(File("/etc/motd", "x", mode=644))', ["mode 644, the octal number 01204; write '0644' or 0o644"]),
        ('node.ensure(Service("cron", running="yes"))', ["Service: running must be True or False, not 'yes'"]),
        ('node.ensure(User("anna", uid="12"))', ["User: uid must be a whole number, not '12'"]),
        ("node.ensure(Package(None))", ["Package: names must be a text or a list of texts, not None"]),
        ('node.ensure(File("/etc/motd", "x", owner=["root"]))', ["File: owner must be a name or a number, not ['root']"]),
        ('node.ensure(Execute("true", timeout="3"))', ["Execute: timeout must be a number, not '3'"]),
        ('node.ensure(Execute("true", returns="3"))', ["returns takes exit statuses as numbers, not '3'"]),
        ('node.ensure(File("/etc/motd", "x", only_if=3))', ["only_if and not_if take a shell command or a callable, not 3"]),
        ('node.ensure("Package[nginx]")', ["node.ensure takes a resource such as Package('nginx'), not 'Package[nginx]'"]),
        ("node.ensure(Package)", ["node.ensure takes a resource with its fields, as Package(..)"]),
        ('node.ensure(Restart("cron"))', ["Restart[cron] is an action: give it as later= or now="]),
        ('node.ensre(File("/etc/motd"))', ["'Node' object has no attribute 'ensre'; did you mean 'ensure'?"]),
        ('Fiel("/etc/motd")', ["name 'Fiel' is not defined; did you mean 'File'?", "default.py:5"]),
        ("Cron", ["name 'Cron' is not defined", "write `from cookline import Cron` at the top"]),
        ("from cookline import Pakage", ["cookline has no 'Pakage'; did you mean 'Package'?"]),
        (
            "from cookbooks.base.recipes import default",
            ["uses 'base' says `depends: [base]` in its cookbook.yml"],
        ),
        ("import no_such_thing", ["No module named 'no_such_thing'", "recipes run with the host's own Python"]),
        ('node.include("base")', ["this run has no cookbook 'base'", "says `depends: [base]` in its cookbook.yml"]),
        ("raise SystemExit(3)", ["SystemExit: 3", "default.py:5"]),
        ('open("/tmp/cookline-must-not-be", "w")', ["must not touch this machine", "default.py:5"]),
        ('__import__("subprocess").run(["true"])', ["must not touch this machine"]),
    ],
)
def test_a_mistake_is_told_with_the_line_of_its_author(run, body, said):
    with pytest.raises(CooklineError) as caught:
        run(body)
    for each in said:
        assert each in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("def setup(node):\n    pass\n", ["default.py defines no recipe", "write `def recipe(node: Node) -> None:`"]),
        ("def recipe():\n    pass\n", ["default.py:1: a recipe is given the node", "write `def recipe(node: Node) -> None:`"]),
        ("def recipe(node):\n    node.ensure(\n", ["default.py:2: '(' was never closed", "node.ensure("]),
        (
            "from cookline import Resource\n\nclass Own(Resource):\n    path: str\n\n"
            "    def current(self, host):\n        return {}\n\n"
            "def recipe(node):\n    node.ensure(Own('x'))\n",
            ["Own does not define desired(self): what shall be there", "default.py:10"],
        ),
    ],
)
def test_what_is_wrong_with_a_recipe_as_a_whole_is_told(project, recipe, said):
    project.write("cookbooks/web/recipes/default.py", recipe)
    with pytest.raises(CooklineError) as caught:
        converge("web", cookbooks=project.folder / "cookbooks")
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
