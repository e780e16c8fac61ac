"""app::environment: the application's environment, with the address of the database from the snapshot of the stack.

Deploy and configure both include it: a new value restarts the shop, whichever event brings it.
"""

from cookline import Node, Restart, Template


def recipe(node: Node) -> None:
    settings = node["app"]
    databases = node.stack.instances(layer=settings["database_layer"])
    address = databases[0].private_address or databases[0].address if databases else ""
    environment = {**node.apps["shop"].environment, "PORT": settings["port"], "PGHOST": address}
    node.ensure(
        Template("/etc/shop.env", values={"environment": environment}, mode="0600", sensitive=True),
        later=Restart("shop"),
    )
