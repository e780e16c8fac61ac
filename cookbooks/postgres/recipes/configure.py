"""postgres::configure: lets in the online instances of the client layer, each by its own address, and nobody else."""

from cookbooks.postgres.resources.version import major
from cookline import Node, Reload, Template


def recipe(node: Node) -> None:
    settings, version = node["postgres"], major(node)
    clients = node.stack.instances(layer=settings["clients"], online=True)
    node.ensure(
        Template(
            f"/etc/postgresql/{version}/main/pg_hba.conf",
            values={"clients": clients, "databases": settings["databases"]},
            owner="postgres",
            group="postgres",
            mode="0640",
        ),
        later=Reload(f"postgresql@{version}-main"),
    )
