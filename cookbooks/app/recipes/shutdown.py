"""app::shutdown: no new requests; the balancer sends them to the other instances."""

from cookline import Node, Service


def recipe(node: Node) -> None:
    node.ensure(Service("shop", running=False))
