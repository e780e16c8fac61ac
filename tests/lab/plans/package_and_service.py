"""A package brings files, accounts and units; its scripts may bring more."""

from cookline import Directory, File, LineInFile, Node, Package, Service, User


def recipe(node: Node) -> None:
    node.ensure(Package("haproxy"))
    node.ensure(Directory("/etc/haproxy/conf.d"))
    node.ensure(Directory("/var/lib/haproxy"))
    node.ensure(Directory("/run/haproxy"))
    node.ensure(File("/etc/haproxy/conf.d/x.cfg", "# hi\n"))
    node.ensure(File("/etc/haproxy/haproxy.cfg", mode="0644"))
    node.ensure(LineInFile("/etc/haproxy/haproxy.cfg", "# mine"))
    node.ensure(LineInFile("/etc/default/haproxy", "# mine"))
    node.ensure(File("/srv/owned", "x", owner="haproxy", group="haproxy"))
    node.ensure(User("haproxy", system=True))
    node.ensure(Service("haproxy", running=True, enabled=True))
    node.ensure(Service("haproxy", running=True, enabled=True))
