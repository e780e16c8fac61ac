"""nginx: a web server with one site, and a first page to look at."""

from cookline import CookbookFile, Directory, Link, Node, Package, Reload, Service, Template


def recipe(node: Node) -> None:
    root = node["nginx"]["root"]
    node.ensure(Package("nginx-light"))
    node.ensure(Directory(root, parents=True))
    node.ensure(CookbookFile(f"{root}/index.html"))
    node.ensure(
        Template("/etc/nginx/sites-available/site", values=node["nginx"]),
        later=Reload("nginx"),
    )
    node.ensure(Link("/etc/nginx/sites-enabled/default", to="/etc/nginx/sites-available/site"), later=Reload("nginx"))
    node.ensure(Service("nginx", running=True, enabled=True))
