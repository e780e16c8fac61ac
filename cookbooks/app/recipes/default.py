"""app: what the shop needs on its host. The shop itself comes with the deploy event, which follows setup."""

from cookline import Node, Package, User


def recipe(node: Node) -> None:
    node.ensure(Package("python3-psycopg2"))
    node.ensure(User("shop", system=True, home="/srv/www/shop", shell="/usr/sbin/nologin"))
