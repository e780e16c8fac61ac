"""A guard is asked of the machine as it will be, or not answered."""

from cookline import Execute, File, Node, User


def recipe(node: Node) -> None:
    node.ensure(File("/srv/flag", "x"))
    node.ensure(Execute("touch /srv/a", not_if="test -e /srv/flag"))
    node.ensure(Execute("touch /srv/b", only_if="test -e /srv/flag", not_if="test -e /srv/b"))
    node.ensure(File("/srv/c", "c", only_if="grep -q x /srv/flag"))
    node.ensure(User("shop", system=True))
    node.ensure(File("/srv/d", "d", only_if="id shop"))
    node.ensure(File("/srv/e", "e", not_if="[ -d /srv ]"))
    node.ensure(File("/srv/g", "g", only_if="[ -d /srv ]"))
    node.ensure(Execute("true", creates="/srv/flag"))
    node.ensure(Execute("touch /srv/made", creates="/srv/made"))
    node.ensure(Execute("false", creates="/srv/made"))
    node.ensure(File("/srv/made", mode="0600"))
    node.ensure(File("/srv/h", "h", only_if="test -e /srv/made"))
