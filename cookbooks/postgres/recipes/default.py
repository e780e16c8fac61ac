"""postgres: the server, and a database with its owner for each entry of the attribute postgres.databases."""

from cookbooks.postgres.resources.database import Database
from cookbooks.postgres.resources.version import major
from cookline import Node, Package, Restart, Service, Template


def recipe(node: Node) -> None:
    version = major(node)
    node.ensure(Package("postgresql"))
    node.ensure(
        Template(f"/etc/postgresql/{version}/main/conf.d/cookline.conf"),
        later=Restart(f"postgresql@{version}-main"),
    )
    node.ensure(Service("postgresql", running=True, enabled=True))
    for name, database in node["postgres"]["databases"].items():
        node.ensure(Database(name, owner=database["owner"], password=database["password"]))
