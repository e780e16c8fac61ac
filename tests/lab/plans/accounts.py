"""Accounts with their groups, homes and passwords, and what they own."""

from cookline import AuthorizedKey, Cron, Directory, File, Group, Limits, LineInFile, Node, User

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGu5kJ0nHZcN3bG6Z0cX4cYlq4o1wQmU2o2J0R0qkQxv anna@example.net"


def recipe(node: Node) -> None:
    node.ensure(Group("ops", gid=4000))
    node.ensure(User("anna", uid=4001, groups=["ops"], shell="/bin/bash"))
    node.ensure(User("anna", groups=["ops"]))
    node.ensure(Group("ops", members=["anna"]))
    node.ensure(Group("anna"))
    node.ensure(Directory("/home/anna"))
    node.ensure(Directory("/home/anna", owner="anna", group="anna"))
    node.ensure(Directory("/home/anna", mode="0700"))
    node.ensure(File("/home/anna/.bashrc"))
    node.ensure(LineInFile("/home/anna/.bashrc", "alias ll='ls -l'"))
    node.ensure(Directory("/home/anna/.ssh", owner="anna", mode="0700"))
    node.ensure(AuthorizedKey("anna", KEY))
    node.ensure(File("/home/anna/.profile.d", "x", owner="anna", group="ops", mode="0600"))
    node.ensure(Cron("anna", "true", user="anna"))
    node.ensure(Limits("anna", {"nofile": 10}))
    node.ensure(User("anna", locked=True))
    node.ensure(User("anna", locked=True))
    node.ensure(User("bert", system=True))
    node.ensure(Directory("/home/bert", owner="bert"))
    node.ensure(User("carl", home="/srv/carl"))
    node.ensure(Directory("/srv/carl", owner="carl", group="carl"))
    node.ensure(User("anna", exists=False))
    node.ensure(Group("anna", exists=False))
    node.ensure(File("/srv/x", "x", owner="bert"))
