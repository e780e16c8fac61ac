"""postgres::configure: lets in the online instances of the client layer, each by its own address, and nobody else."""

from cookline import Node, Reload, Template


def recipe(node: Node) -> None:
    settings = node["postgres"]
    clients = node.stack.instances(layer=settings["clients"], online=True)
    node.ensure(
        Template(
            f"/etc/postgresql/{settings['version']}/main/pg_hba.conf",
            values={"clients": clients, "databases": settings["databases"]},
            owner="postgres",
            group="postgres",
            mode="0640",
        ),
        later=Reload(f"postgresql@{settings['version']}-main"),
    )
