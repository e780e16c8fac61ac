"""A web host: 20 directories, 40 templates, 10 files of 20 KB, 5 links, users, groups, cron files and sysctl files, 3 services
with their unit files, 2 packages."""

from cookline import CookbookFile, Directory, Group, Link, Node, Package, Service, SystemdUnit, Template, User


def recipe(node: Node) -> None:
    node.ensure(Package(["cron", "sudo"]))
    people(node)
    files(node)
    for number in range(3):
        node.ensure(SystemdUnit(f"bench{number}.service", source=f"bench{number}.service"))
        node.ensure(Service(f"bench{number}", running=True, enabled=True))


def people(node: Node) -> None:
    for number in range(5):
        node.ensure(Group(f"bench{number}", gid=3001 + number))
        home, shell = "/srv/bench", "/usr/sbin/nologin"
        node.ensure(
            User(f"bench{number}", uid=2001 + number, group=f"bench{number}", home=home, shell=shell, create_home=False)
        )


def files(node: Node) -> None:
    node.ensure(Directory("/srv/bench", mode="0755"))
    node.ensure(Directory("/srv/bench/static", mode="0755"))
    for number in range(2, 20):
        owner = f"bench{number % 5}"
        node.ensure(Directory(f"/srv/bench/d{number:02d}", mode="0750", owner=owner, group=owner))
    for number in range(10):
        node.ensure(CookbookFile(f"/srv/bench/static/s{number}.txt", source=f"s{number}.txt", mode="0644"))
    for number in range(40):
        folder, owner = f"/srv/bench/d{2 + number % 18:02d}", f"bench{number % 5}"
        values = {"name": f"app{number:02d}", "port": 8000 + number, "workers": 1 + number % 4, "root": folder}
        values["version"] = node["bench"]["version"] if number == 0 else "1.0.0"
        path = f"{folder}/app{number:02d}.conf"
        node.ensure(Template(path, source="app.conf.j2", values=values, mode="0640", owner=owner, group=owner))
    for number in range(5):
        node.ensure(Link(f"/srv/bench/current{number}", to=f"/srv/bench/d{number + 2:02d}"))
        node.ensure(CookbookFile(f"/etc/cron.d/bench{number}", source=f"cron{number}", mode="0644"))
        node.ensure(CookbookFile(f"/etc/sysctl.d/60-bench{number}.conf", source=f"sysctl{number}", mode="0644"))
