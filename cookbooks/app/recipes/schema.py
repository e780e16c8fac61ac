"""app::schema: the shop's table and its first rows. It runs on the database's host, after postgres."""

from cookline import CookbookFile, Execute, Node

PSQL = "psql --no-psqlrc --quiet --tuples-only --dbname=shop"


def recipe(node: Node) -> None:
    node.ensure(CookbookFile("/var/lib/postgresql/shop.sql", source="schema.sql", owner="postgres", mode="0600"))
    node.ensure(
        Execute(
            f"{PSQL} --set=ON_ERROR_STOP=1 --single-transaction --file=/var/lib/postgresql/shop.sql",
            user="postgres",
            not_if=f"runuser -u postgres -- {PSQL} --command='SELECT 1 FROM product LIMIT 1' | grep --quiet 1",
        )
    )
