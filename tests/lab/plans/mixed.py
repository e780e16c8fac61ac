"""All of it together: files through links that change, commands that create, accounts that come back."""

from cookline import (
    Absent,
    AuthorizedKey,
    Directory,
    Execute,
    File,
    Group,
    IniSetting,
    LineInFile,
    Link,
    Node,
    RemoteDirectory,
    Script,
    Sysctl,
    Template,
    User,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGu5kJ0nHZcN3bG6Z0cX4cYlq4o1wQmU2o2J0R0qkQxv anna@example.net"

START = "echo 'a=1' > /etc/app.conf; mkdir -p /srv/x/y; ln -s y /srv/x/l; echo k > /srv/x/y/k; useradd -m zoe"
FILES = {"templates/t.j2": "{{ node.facts.hostname }} {{ v }}\n", "files/tree/a/b": "b\n"}


def recipe(node: Node) -> None:
    node.ensure(Directory("/srv/app/deep/down", parents=True, mode="0750", owner="zoe"))
    node.ensure(Directory("/srv/app", mode="0755"))
    node.ensure(Template("/srv/app/deep/t", source="t.j2", values={"v": 1}))
    node.ensure(Template("/srv/app/deep/t", source="t.j2", values={"v": 1}, mode="0600", owner="zoe"))
    node.ensure(File("/srv/x/l/k", "k\n"))
    node.ensure(File("/srv/x/l/new", "n"))
    node.ensure(File("/srv/x/y/new", exists=False))
    node.ensure(Link("/srv/x/l", "/srv/app"))
    node.ensure(File("/srv/x/l/deep/t", mode="0640"))
    node.ensure(File("/srv/app/deep/t", mode="0640"))
    node.ensure(Directory("/srv/x", exists=False, recursive=True))
    node.ensure(Link("/srv/x", "/srv/app"))
    node.ensure(File("/srv/x/deep/t", exists=False))
    node.ensure(File("/srv/app/deep/t", exists=False))
    node.ensure(User("zoe", exists=False, remove_home=True))
    node.ensure(Directory("/home/zoe"))
    node.ensure(Group("zoe"))
    node.ensure(User("zoe", group="zoe"))
    node.ensure(RemoteDirectory("/srv/tree", source="tree"))
    node.ensure(LineInFile("/srv/tree/a/b", "c"))
    node.ensure(RemoteDirectory("/srv/tree", source="tree"))
    node.ensure(Link("/srv/loop1", "/srv/loop2"))
    node.ensure(Link("/srv/loop2", "/srv/loop1"))
    node.ensure(Absent("/srv/loop1"))
    node.ensure(IniSetting("/etc/app.conf", "", "a", 2))
    node.ensure(IniSetting("/etc/app.conf", "", "a", 2))
    node.ensure(File("/etc/app.conf", "a=2\n"))
    node.ensure(Sysctl("net.ipv4.ip_forward", 1, live=False))
    node.ensure(Execute("mkdir -p /srv/by/exec; echo a > /srv/by/exec/f", creates="/srv/by/exec/f"))
    node.ensure(Directory("/srv/by/exec"))
    node.ensure(File("/srv/by/exec/g", "g"))
    node.ensure(LineInFile("/srv/by/exec/f", "a"))
    node.ensure(File("/srv/by/exec/f", exists=False))
    node.ensure(Script("s", "useradd made; mkdir /srv/made", creates="/srv/made"))
    node.ensure(User("made"))
    node.ensure(Directory("/srv/made", owner="made"))
    node.ensure(AuthorizedKey("made", KEY, ignore_failure=True))
    x = node.ensure(File("/srv/z", "z"))
    node.ensure(File("/srv/zz", "z", only_if=lambda: x.changed))
