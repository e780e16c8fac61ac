"""Files are the same file through every link to them."""

from cookline import Absent, Directory, File, LineInFile, Link, Node


def recipe(node: Node) -> None:
    node.ensure(Directory("/srv/real"))
    node.ensure(Link("/srv/alias", "/srv/real"))
    node.ensure(File("/srv/alias/file", "one\n"))
    node.ensure(File("/srv/real/file", "one\n"))
    node.ensure(File("/srv/alias/file", mode="0600"))
    node.ensure(File("/srv/real/file", mode="0600"))
    node.ensure(Directory("/srv/alias", mode="0700"))
    node.ensure(Directory("/srv/real", mode="0700"))
    node.ensure(Link("/srv/flink", "real/file"))
    node.ensure(File("/srv/flink", "two\n"))
    node.ensure(LineInFile("/srv/alias/file", "three"))
    node.ensure(LineInFile("/srv/flink", "three"))
    node.ensure(Link("/srv/flink", "real/other"))
    node.ensure(File("/srv/real/other", "other"))
    node.ensure(File("/srv/flink", "other"))
    node.ensure(Link("/srv/tmpdir", "/tmp"))
    node.ensure(File("/srv/tmpdir/f", "x"))
    node.ensure(File("/tmp/f", "x"))
    node.ensure(Absent("/srv/alias"))
    node.ensure(File("/srv/real/file", "two\nthree\n"))
