"""app::schema: the shop's table and its first rows. It runs on the database's host, after postgres."""

from cookline import CookbookFile, Execute, Node

HAS_ROWS = "runuser -u postgres -- psql --tuples-only shop --command='SELECT 1 FROM product LIMIT 1' | grep --quiet 1"


def recipe(node: Node) -> None:
    node.ensure(CookbookFile("/var/lib/postgresql/shop.sql", owner="postgres", mode="0600"))
    node.ensure(Execute("psql --quiet --file=shop.sql shop", user="postgres", cwd="/var/lib/postgresql", not_if=HAS_ROWS))
