"""haproxy::configure: one server line for each online instance of the layer behind the balancer.

With none online the file is still valid, and visitors get a 503.
"""

from cookline import Node, Reload, Template


def recipe(node: Node) -> None:
    settings = node["haproxy"]
    servers = node.stack.instances(layer=settings["layer"], online=True)
    node.ensure(
        Template(
            "/etc/haproxy/haproxy.cfg",
            values={"settings": settings, "servers": servers},
            verify="haproxy -c -f %{path}",
        ),
        later=Reload("haproxy"),
    )
