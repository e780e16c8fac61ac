"""The files that `cookline init` writes: the smallest project that has a stack, a cookbook, an attribute and a test."""

from __future__ import annotations

STACK = """\
# A stack: which instances belong together, and which recipes each kind of them runs.
#
#   cookline push stacks/{name}.yml      freeze this definition and its cookbooks as a revision
#   cookline plan {name} setup           ask the hosts what a setup would change
#   cookline setup {name}                bring the hosts up, set them up, configure
#   cookline status {name}               see how they are
#
# `cookline schema > schema.json` writes a schema with which an editor completes and checks this file.
stack: {name}

# Where cookbooks are looked for, from this file; those that ship with cookline (base, nginx, ..) are found anyway.
cookbooks: [../cookbooks]

# Attributes, low to high: cookbook default, stack (here), layer, instance, app, event. Mappings merge, lists replace.
# `cookline explain hello.text --instance host1` names the winner and every loser, with file and line.
attributes:
  hello:
    text: Hello from the stack {name}.
    # A secret is a reference: env:NAME, file:PATH or generated:NAME. Its value is masked in every output.
    # password: !secret generated:{name}-password

# A layer is a kind of host: for each lifecycle event the recipes that run then, in this order.
# A recipe is cookbook::recipe; `base` alone means base::default.
layers:
  host:
    name: Hosts
    recipes:
      setup: [base, hello]          # after each boot
      configure: [hello]            # on all online instances whenever one comes or goes
      deploy: []                    # `cookline deploy`, and after setup
      undeploy: []
      shutdown: []                  # before the host stops
    shutdown_timeout: 120s          # then it is stopped regardless
    drift: {{interval: 30m, policy: report}}

# The container provider boots Debian hosts on this machine (as root). A host that exists already is `static`:
#   web1: {{layers: [host], provider: static, address: 192.0.2.10, user: admin, identity_file: ~/.ssh/id_ed25519}}
instances:
  host1: {{layers: [host], provider: container}}

# An app is code that is deployed to layers: archived and hashed once, the same bytes for every host.
# apps:
#   {name}: {{layers: [host], source: {{type: local, path: ../app}}, environment: {{COLOUR: blue}}}}
"""

COOKBOOK = """\
# What the cookbook is called, what it needs, and which attributes it reads: each with a type and a line of documentation.
name: hello
version: 0.1.0
depends: []
supports: [debian]
attributes:
  text:
    type: string
    default: Hello.
    doc: The first line of /etc/hello.
"""

RECIPE = '''\
"""hello: a file that says hello, and who else is there."""

from cookline import Node, Template


def recipe(node: Node) -> None:
    others = [instance.name for instance in node.stack.instances(online=True)]
    node.ensure(Template("/etc/hello", values={"text": node["hello"]["text"], "others": others}))
'''

TEMPLATE = """\
{{ text }}
Online: {{ others | join(", ") }}
"""

TEST = """\
from testinfra.host import Host


def test_hello_is_said(host: Host) -> None:
    assert host.file("/etc/hello").contains("Online")
"""

SUITE = """\
# `cookline kitchen test {name}`: on each platform a host from nothing, converged twice, looked at by the files in tests/.
# What shall be otherwise on your machine alone stands in kitchen.local.yml.
# The hosts have no way out: what their apt is to install stands here.
# providers: {{container: {{packages: [nginx]}}}}
platforms: [debian-11, debian-12, debian-13]
suites:
  default:
    recipes: {{setup: [{name}]}}
    # attributes: {{{name}: {{..}}}}
    # The rest of the stack, which is only told of: node.stack.instances(layer="app")
    # snapshot: {{instances: {{app1: {{layers: [app]}}}}}}
"""

SUITE_TEST = '''\
"""What the host must look like afterwards. testinfra's `host` has .service(..), .socket(..), .file(..), .run(..) and more."""


def test_{function}(host):
    assert {assertion}
'''

NEW_COOKBOOK = """\
name: {name}
version: 0.1.0
depends: []
supports: [debian]
attributes: {{}}
"""

NEW_RECIPE = '''\
"""{name}: what it does, in a line."""

from cookline import File, Node


def recipe(node: Node) -> None:
    node.ensure(File("/etc/{name}.conf", "# managed by cookline\\n"))
'''

GITIGNORE = """\
# cookline's own records and generated secrets; what is otherwise on one machine alone
.cookline/
kitchen.local.yml
"""


def suite_files(cookbook: str, *, new: bool) -> dict[str, str]:
    """Path to text, for the suite of a cookbook: kitchen.yml and a first test, of what a new cookbook's recipe does."""
    test = f"tests/test_{cookbook.replace('-', '_').replace('.', '_')}.py"
    first = ("its_file_is_there", f'host.file("/etc/{cookbook}.conf").contains("managed by cookline")')
    any_host = ("the_host_runs_debian", 'host.system_info.distribution == "debian"')
    function, assertion = first if new else any_host
    return {"kitchen.yml": SUITE.format(name=cookbook), test: SUITE_TEST.format(function=function, assertion=assertion)}


def cookbook_files(cookbook: str) -> dict[str, str]:
    """Path to text, for a cookbook that is not there yet."""
    return {
        "cookbook.yml": NEW_COOKBOOK.format(name=cookbook),
        "recipes/default.py": NEW_RECIPE.format(name=cookbook),
    }


def files(name: str) -> dict[str, str]:
    """Path to text, for a stack called `name`."""
    return {
        f"stacks/{name}.yml": STACK.format(name=name),
        "cookbooks/hello/cookbook.yml": COOKBOOK,
        "cookbooks/hello/recipes/default.py": RECIPE,
        "cookbooks/hello/templates/hello.j2": TEMPLATE,
        "cookbooks/hello/tests/test_hello.py": TEST,
        "cookbooks/hello/kitchen.yml": SUITE.format(name="hello"),
        ".gitignore": GITIGNORE,
    }
