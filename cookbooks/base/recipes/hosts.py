"""base::hosts: the names of all online hosts of the stack. It goes into the configure event of each layer."""

from cookline import Node, Template


def recipe(node: Node) -> None:
    online = node.stack.instances(online=True)
    node.ensure(Template("/etc/hosts", values={"instance": node.instance, "online": online}))
