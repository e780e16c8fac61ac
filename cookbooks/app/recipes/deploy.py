"""app::deploy: the newest release of the shop, running. An app that is not the shop is not our matter."""

from cookline import Node, Release, Restart, Service, SystemdUnit


def recipe(node: Node) -> None:
    if node.app is not None and node.app.name != "shop":
        return
    node.include("app::environment")
    node.ensure(Release("shop"), later=Restart("shop"))
    node.ensure(SystemdUnit("shop.service", source="shop.service"), later=Restart("shop"))
    node.ensure(Service("shop", running=True, enabled=True))
