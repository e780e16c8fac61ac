"""app::configure: somebody came or went; where is the database now? A shop that was undeployed is left alone."""

import os

from cookline import Node


def recipe(node: Node) -> None:
    if os.path.exists("/srv/www/shop/current"):
        node.include("app::environment")
