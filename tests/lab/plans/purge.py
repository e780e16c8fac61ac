"""Trees out of a cookbook, with and without purge."""

from cookline import Absent, Directory, File, Node, RemoteDirectory

START = """
mkdir -p /srv/t/x /srv/full
echo a > /srv/t/x/old; echo n > /srv/t/old; echo one > /srv/t/one; echo z > /srv/full/z
"""
FILES = {"files/t/one": "one\n", "files/t/sub/two": "two\n"}


def recipe(node: Node) -> None:
    node.ensure(File("/srv/t/mine", "m"))
    node.ensure(RemoteDirectory("/srv/t", purge=True))
    node.ensure(RemoteDirectory("/srv/t", purge=True))
    node.ensure(File("/srv/t/mine", exists=False))
    node.ensure(File("/srv/t/sub/two", "two\n"))
    node.ensure(File("/srv/t/old", exists=False))
    node.ensure(Absent("/srv/t/x"))
    node.ensure(Directory("/srv/full", exists=False, recursive=True))
    node.ensure(Directory("/srv/full"))
    node.ensure(File("/srv/full/z", exists=False))
    node.ensure(RemoteDirectory("/srv/u", source="t", owner="daemon", mode="0600", directory_mode="0700"))
    node.ensure(Directory("/srv/u/sub", owner="daemon", mode="0700"))
    node.ensure(File("/srv/u/sub/two", "two\n", owner="daemon", mode="0600"))
    node.ensure(RemoteDirectory("/srv/u", source="t", exists=False))
    node.ensure(Absent("/srv/u"))
