"""haproxy: the package and its service. What it balances is a matter of the configure event."""

from cookline import Node, Package, Service


def recipe(node: Node) -> None:
    node.ensure(Package("haproxy"))
    node.ensure(Service("haproxy", running=True, enabled=True))
