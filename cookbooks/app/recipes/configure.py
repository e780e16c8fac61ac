"""app::configure: somebody came or went; where is the database now?"""

from cookline import Node


def recipe(node: Node) -> None:
    node.include("app::environment")
