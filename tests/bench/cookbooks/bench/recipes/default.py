"""A web host: 20 directories, 40 templates, 10 files of 20 KB, 5 links, users, groups, cron files and edited lines, 3 services,
2 packages; and the unit files of the services."""

from cookline import CookbookFile, Cron, Directory, Group, LineInFile, Link, Node, Package, Service, SystemdUnit, Template, User

UNIT = """[Unit]
Description=bench service {number}
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


def recipe(node: Node) -> None:
    node.ensure(Package(["cron", "sudo"]))
    people(node)
    files(node)
    for number in range(3):
        node.ensure(SystemdUnit(f"bench{number}.service", content=UNIT.format(number=number)))
        node.ensure(Service(f"bench{number}", running=True, enabled=True))


def people(node: Node) -> None:
    for number in range(5):
        node.ensure(Group(f"bench{number}", gid=3001 + number))
        node.ensure(
            User(f"bench{number}", uid=2001 + number, group=f"bench{number}", home="/srv/bench", shell="/usr/sbin/nologin")
        )


def files(node: Node) -> None:
    node.ensure(Directory("/srv/bench"))
    node.ensure(Directory("/srv/bench/static"))
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
        node.ensure(Link(f"/srv/bench/current{number}", target=f"/srv/bench/d{number + 2:02d}"))
        node.ensure(Cron(f"bench{number}", minute=str(number), hour="3", command="/bin/true"))
        node.ensure(LineInFile("/etc/hosts", f"198.18.255.{number} bench{number}"))
