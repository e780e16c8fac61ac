"""base: the message of the day. It goes into the setup of each layer."""

from cookline import Node, Template


def recipe(node: Node) -> None:
    node.ensure(Template("/etc/motd", values={"instance": node.instance, "text": node["base"]["motd"]}))
