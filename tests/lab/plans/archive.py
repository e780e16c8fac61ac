"""An archive's members stand there for later resources."""

from cookline import Absent, Archive, Directory, File, LineInFile, Link, Node

START = """
mkdir -p /var/cache/a/tool/bin && echo hi > /var/cache/a/tool/bin/tool && echo c > /var/cache/a/tool/conf
tar -C /var/cache/a -czf /var/cache/tool.tgz tool
"""


def recipe(node: Node) -> None:
    node.ensure(Archive("/opt/tool", "/var/cache/tool.tgz", strip=1))
    node.ensure(Archive("/opt/tool", "/var/cache/tool.tgz", strip=1))
    node.ensure(File("/opt/tool/conf", "c\n"))
    node.ensure(File("/opt/tool/conf", mode="0600"))
    node.ensure(Directory("/opt/tool/bin"))
    node.ensure(LineInFile("/opt/tool/conf", "d"))
    node.ensure(Link("/usr/local/bin/tool", "/opt/tool/bin/tool"))
    node.ensure(Archive("/opt/once", "/var/cache/tool.tgz", creates="tool/conf"))
    node.ensure(Archive("/opt/once", "/var/cache/tool.tgz", creates="tool/conf"))
    node.ensure(File("/opt/once/tool/conf", "c\n"))
    node.ensure(Absent("/opt/once"))
    node.ensure(File("/opt/once", "x"))
