"""A clone and a virtual environment bring what only they know, and only below their paths."""

from cookline import Directory, File, Git, LineInFile, Link, Node, Virtualenv

START = """
apt-get -y -q install git >/dev/null 2>&1
git init -q -b main /srv/repo && cd /srv/repo && git config user.email a@b && git config user.name a
echo 1 > f; mkdir d; echo 2 > d/g; git add -A; git commit -qm one
"""


def recipe(node: Node) -> None:
    node.ensure(Git("/srv/tool", "/srv/repo", revision="main"))
    node.ensure(Git("/srv/tool", "/srv/repo", revision="main"))
    node.ensure(File("/srv/tool/local", "x"))
    node.ensure(Directory("/srv/tool/d"))
    node.ensure(LineInFile("/srv/tool/f", "1"))
    node.ensure(File("/srv/other/x", exists=False))
    node.ensure(Virtualenv("/srv/venv", pip=False))
    node.ensure(Virtualenv("/srv/venv", pip=False))
    node.ensure(Link("/usr/local/bin/py", "/srv/venv/bin/python"))
    node.ensure(File("/srv/venv/x", "x"))
    node.ensure(Directory("/srv/unrelated"))
