"""app::undeploy: nothing of the shop is left; its user and packages are the business of setup."""

from cookline import File, Node, Release, SystemdUnit


def recipe(node: Node) -> None:
    node.ensure(SystemdUnit("shop.service", exists=False))
    node.ensure(File("/etc/shop.env", exists=False))
    node.ensure(Release("shop", exists=False))
