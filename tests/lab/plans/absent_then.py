"""What is removed is gone for later resources, also what lay below it; what is made anew has nothing of it."""

from cookline import Absent, Directory, File, LineInFile, Node

START = "mkdir -p /srv/d/sub; echo a > /srv/d/a; echo b > /srv/d/sub/b; echo f > /srv/f; ln -s /srv/d /srv/l"


def recipe(node: Node) -> None:
    node.ensure(Absent("/srv/f"))
    node.ensure(File("/srv/f", "f\n"))
    node.ensure(File("/srv/f", "f\n"))
    node.ensure(Absent("/srv/d"))
    node.ensure(Directory("/srv/d"))
    node.ensure(File("/srv/d/a", "a\n"))
    node.ensure(Directory("/srv/d/sub"))
    node.ensure(File("/srv/d/sub/b", exists=False))
    node.ensure(LineInFile("/srv/d/sub/b", "b", create=True))
    node.ensure(File("/srv/l/a", "a\n"))
    node.ensure(Absent("/srv/l"))
    node.ensure(Directory("/srv/l"))
    node.ensure(File("/srv/l/a", "a\n"))
    node.ensure(Absent("/srv/d"))
    node.ensure(File("/srv/d", "now a file"))
